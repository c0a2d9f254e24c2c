"""SVG in a page: what it describes and does not draw, and attributes that hide text as declarations of a style do."""

from typing import Any

# Elements inside SVG whose text is not drawn at their place.
_NOT_DRAWN = "svg desc, svg metadata, svg defs, svg symbol"
# Elements with attributes that may hide text. In HTML, these attributes mean nothing.
_STYLED = "svg [opacity], svg [fill], svg [fill-opacity], svg [display], svg [visibility], svg [font-size]"
_CLEAR = ("none", "transparent")


def prepare_svg(tree: Any) -> None:
    """Remove the texts of SVG that are not drawn from a tree, and write attributes that may hide text as styles."""
    # The order is reversed because an element must not be used after the element around it is removed.
    for node in reversed(tree.css(_NOT_DRAWN)):
        node.decompose()
    for node in tree.css(_STYLED):
        attributes = node.attributes
        declared = [
            f"{name}:{attributes[name]}"
            for name in ("display", "visibility", "font-size", "opacity")
            if attributes.get(name)
        ]
        if attributes.get("fill-opacity"):
            declared.append(f"opacity:{attributes['fill-opacity']}")
        if fill := (attributes.get("fill") or "").strip().lower():
            # What is drawn behind the letters is not known.
            declared.append("color:transparent" if fill in _CLEAR and not attributes.get("stroke") else "color:unknown")
        # The style of the element has priority.
        node.attrs["style"] = ";".join([*declared, attributes.get("style") or ""])
