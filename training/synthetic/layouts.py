# ruff: noqa: E501  # layouts are long strings by nature
"""HTML layouts. Both labels use the same ones, so that the look of a message does not give its label away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from random import Random

from .tokens import Weighted, alnum, chance, hexes, letters


@dataclass
class Content:
    """The content of a message, without layout."""

    language: str
    brand: str
    title: str = ""
    preheader: str = ""
    greeting: str = ""
    paragraphs: list[str] = field(default_factory=list)
    rows: list[tuple[str, str]] = field(default_factory=list)
    items: list[tuple[str, str]] = field(default_factory=list)
    cta: str = ""
    closing: list[str] = field(default_factory=list)
    footer: list[str] = field(default_factory=list)
    unsubscribe: str = ""
    browser: str = ""
    quoted: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    cta_url: str = ""
    link: Callable[[], str] = str
    unsubscribe_url: str = ""
    extra: list[str] = field(default_factory=list)
    images: str = ""
    pixel: str = ""
    inline_image: str = ""
    photo: bool = False


@dataclass(frozen=True)
class Theme:
    """The colours, fonts and sizes of one message."""

    main: str
    back: str
    ink: str
    font: str
    size: int
    width: int
    radius: int
    mark: str  # a class name


_COLOURS = ("#0a66c2", "#e4002b", "#ff9900", "#1a73e8", "#00a650", "#222222", "#6f2da8", "#d40511", "#ffcc00", "#003087", "#0070ba",
            "#c8102e", "#2e7d32", "#f57c00", "#009688", "#e91e63", "#5c6ac4", "#3b5998", "#8bc34a", "#b71c1c")  # fmt: skip
_BACKS = ("#f4f4f4", "#ffffff", "#eeeeee", "#f6f9fc", "#fafafa", "#e9ecef", "#f2f2f2", "#fff8f0", "#edf2f7")
_FONTS = ("Arial, Helvetica, sans-serif", "Helvetica Neue, Helvetica, Arial, sans-serif", "Verdana, Geneva, sans-serif", "Georgia, serif",
          "Roboto, sans-serif", "Segoe UI, Tahoma, sans-serif", "Open Sans, Arial, sans-serif", "Lato, sans-serif", "Calibri, sans-serif")  # fmt: skip


def draw_theme(rng: Random) -> Theme:
    """Draw a theme."""
    return Theme(rng.choice(_COLOURS), rng.choice(_BACKS), rng.choice(("#333333", "#000000", "#222222", "#444444", "#555555")),
                rng.choice(_FONTS), rng.choice((13, 14, 15, 16)), rng.choice((560, 580, 600, 600, 640, 680)), rng.choice((0, 3, 4, 6, 25)),
                letters(rng, 4) + str(rng.randrange(99)))  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """A layout as format strings; `{t}` is a text, `{u}` a link, `{s}` a picture, `{l}` the theme, `{a}` and `{b}` a pair."""

    page: str  # {body} {title} {hidden}
    p: str
    h: str = '<h1 style="font-size:24px;color:{l.main}">{t}</h1>'
    cta: str = '<p><a href="{u}">{t}</a></p>'
    logo: str = '<img src="{s}" alt="{t}" width="140" border="0">'
    row: str = '<tr><td style="padding:4px">{a}</td><td style="padding:4px" align="right"><b>{b}</b></td></tr>'
    rows: str = '<table width="100%" cellpadding="0" cellspacing="0">{t}</table>'
    item: str = '<tr><td><img src="{s}" width="80" alt=""></td><td>{a}</td><td align="right">{b}</td></tr>'
    items: str = '<table width="100%">{t}</table>'
    hero: str = '<a href="{u}"><img src="{s}" width="100%" alt="{t}" style="display:block;border:0"></a>'
    foot: str = '<p style="font-size:11px;color:#999999">{t}</p>'
    hero_chance: float = 0.3


_HEAD = ('<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
         '<html xmlns="http://www.w3.org/1999/xhtml"><head><meta http-equiv="Content-Type" content="text/html; charset=UTF-8">'
         '<meta name="viewport" content="width=device-width, initial-scale=1.0"><title>{title}</title>')  # fmt: skip
_P = '<p style="margin:0 0 16px;font-family:{l.font};font-size:{l.size}px;line-height:1.5;color:{l.ink}">{t}</p>\n'
_TR = '<tr><td style="padding:8px 24px;font-family:{l.font};font-size:{l.size}px;color:{l.ink}">{t}</td></tr>\n'
_BUTTON = ('<table cellpadding="0" cellspacing="0" border="0" align="center"><tr><td bgcolor="{l.main}" style="border-radius:{l.radius}px;padding:12px 28px">'
           '<a href="{u}" target="_blank" style="color:#ffffff;text-decoration:none;font-family:{l.font};font-weight:bold">{t}</a></td></tr></table>\n')  # fmt: skip
_GRID_ITEM = ('<td width="33%" valign="top" align="center"><a href="{u}"><img src="{s}" width="170" border="0" alt="{a}"></a><br>'
              '<span style="font-size:13px">{a}</span><br><b style="color:{l.main}">{b}</b></td>')  # fmt: skip
_GRID = '<table width="100%" cellpadding="6"><tr>{t}</tr></table>'
_GREY = '<p style="font-family:{l.font};font-size:11px;line-height:16px;color:#8c8c8c;text-align:center">{t}</p>\n'

BULK: dict[str, Layout] = {
    "table": Layout(
        _HEAD + '<style type="text/css">body{{margin:0;padding:0}} img{{border:0}} @media only screen and (max-width:600px){{.{l.mark}{{width:100%!important}}}}</style></head>'
        '<body bgcolor="{l.back}">{hidden}<table width="100%" bgcolor="{l.back}" cellpadding="0" cellspacing="0"><tr><td align="center">'
        '<table class="{l.mark}" width="{l.width}" bgcolor="#ffffff" cellpadding="0" cellspacing="0">{body}</table></td></tr></table></body></html>',
        p=_TR, h='<tr><td style="padding:20px 24px"><h1 style="margin:0;font-family:{l.font};color:{l.main};font-size:26px">{t}</h1></td></tr>\n',
        cta='<tr><td align="center" style="padding:20px">' + _BUTTON + "</td></tr>\n",
        logo='<tr><td align="center" style="padding:20px"><img src="{s}" alt="{t}" width="150"></td></tr>\n',
        rows='<tr><td style="padding:8px 24px"><table width="100%">{t}</table></td></tr>', items='<tr><td><table width="100%">{t}</table></td></tr>',
        hero='<tr><td><a href="{u}"><img src="{s}" width="{l.width}" alt="{t}" style="display:block"></a></td></tr>\n',
        foot='<tr><td align="center" style="padding:6px 24px;font-family:{l.font};font-size:11px;color:#999999">{t}</td></tr>\n'),
    "mjml": Layout(
        '<!doctype html><html xmlns="http://www.w3.org/1999/xhtml" xmlns:v="urn:schemas-microsoft-com:vml"><head><title>{title}</title><!--[if !mso]><!-->'
        '<meta http-equiv="X-UA-Compatible" content="IE=edge"><!--<![endif]--><style type="text/css">#outlook a{{padding:0}} body{{margin:0;padding:0;-webkit-text-size-adjust:100%}}'
        ' @media only screen and (min-width:480px){{.mj-column-per-100{{width:100%!important}}}}</style></head><body style="background-color:{l.back}">{hidden}'
        '<div style="background-color:{l.back}"><!--[if mso | IE]><table align="center" width="{l.width}"><tr><td><![endif]--><div style="margin:0 auto;max-width:{l.width}px;background:#fff">{body}</div>'
        "<!--[if mso | IE]></td></tr></table><![endif]--></div></body></html>",
        p='<div class="mj-column-per-100" style="font-family:{l.font};font-size:{l.size}px;line-height:22px;text-align:left;color:{l.ink};padding:10px 25px">{t}</div>\n',
        h='<div style="font-family:{l.font};font-size:28px;font-weight:bold;text-align:center;color:{l.main};padding:10px 25px">{t}</div>\n', cta=_BUTTON, foot=_GREY,
        item=_GRID_ITEM, items=_GRID),
    "word": Layout(
        '<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" xmlns:w="urn:schemas-microsoft-com:office:word" xmlns="http://www.w3.org/TR/REC-html40">'
        '<head><meta name=Generator content="Microsoft Word 15 (filtered medium)"><!--[if !mso]><style>v\\:* {{behavior:url(#default#VML);}}</style><![endif]--><style><!--\n@font-face {{font-family:Calibri;}}\n'
        'p.MsoNormal {{margin:0cm;font-size:11.0pt;font-family:"Calibri",sans-serif;}}\n--></style></head><body lang=EN-US link="#0563C1" vlink="#954F72"><div class=WordSection1>{hidden}{body}</div></body></html>',
        p="<p class=MsoNormal>{t}<o:p></o:p></p>\n<p class=MsoNormal><o:p>&nbsp;</o:p></p>\n", h="<p class=MsoNormal><b><span style='font-size:14.0pt;color:{l.main}'>{t}<o:p></o:p></span></b></p>\n",
        cta='<p class=MsoNormal><a href="{u}">{t}</a><o:p></o:p></p>\n', foot="<p class=MsoNormal><span style='font-size:8.0pt;color:gray'>{t}<o:p></o:p></span></p>\n", hero_chance=0.05),
    "image": Layout(
        '<html><head><title>{title}</title></head><body style="margin:0">{hidden}<center>{body}</center></body></html>',
        p="", h="", logo="", cta='<a href="{u}"><img src="{s}" alt="{t}" width="{l.width}" border="0" style="display:block"></a>\n', row="", rows="", item='<a href="{u}"><img src="{s}" width="{l.width}" border="0" alt="{a}"></a><br>\n',
        items="{t}", foot='<font size="1" color="#999999">{t}</font><br>\n', hero_chance=1.0),
    "receipt": Layout(
        _HEAD + '</head><body style="background:#fff;font-family:{l.font}">{hidden}<div style="max-width:{l.width}px;margin:0 auto;border:1px solid #ddd;padding:20px">{body}</div></body></html>',
        p=_P, h='<h2 style="font-family:{l.font};border-bottom:2px solid {l.main};padding-bottom:8px">{t}</h2>\n', cta=_BUTTON,
        row='<tr style="border-bottom:1px solid #eee"><td style="color:#777">{a}</td><td style="text-align:right">{b}</td></tr>', foot=_GREY, hero_chance=0.05),
    "grid": Layout(
        _HEAD + '</head><body style="margin:0;background:{l.back}">{hidden}<table align="center" width="{l.width}" style="background:#fff"><tr><td>{body}</td></tr></table></body></html>',
        p='<div style="padding:10px 20px;font:{l.size}px {l.font};text-align:center;color:{l.ink}">{t}</div>\n', h='<div style="padding:24px;text-align:center;font:bold 32px {l.font};background:{l.main};color:#fff">{t}</div>\n',
        cta='<div style="text-align:center;padding:18px"><a href="{u}" style="background:{l.main};color:#fff;padding:14px 34px;border-radius:{l.radius}px;text-decoration:none;font:bold 16px {l.font}">{t}</a></div>\n',
        logo='<div style="text-align:center;padding:14px"><img src="{s}" alt="{t}" height="40"></div>\n', item=_GRID_ITEM, items=_GRID, foot=_GREY, hero_chance=0.85),
    "minimal": Layout('<html><body style="font-family:{l.font};font-size:{l.size}px;color:{l.ink}">{hidden}{body}</body></html>', p="<p>{t}</p>\n", h="<p><strong>{t}</strong></p>\n", logo="",
                     foot='<p style="font-size:12px;color:#888">{t}</p>\n', hero_chance=0.03),
    "card": Layout(
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>.{l.mark}-card{{max-width:{l.width}px;margin:30px auto;background:#fff;border-radius:8px;box-shadow:0 2px 6px rgba(0,0,0,.1);padding:32px}}'
        ' .btn{{display:inline-block;padding:10px 20px;background:{l.main};color:#fff;border-radius:{l.radius}px}}</style></head><body style="background:{l.back};font-family:{l.font}">{hidden}<div class="{l.mark}-card">{body}</div></body></html>',
        p='<p class="text">{t}</p>\n', h="<h3>{t}</h3>\n<hr>\n", cta='<p><a class="btn" href="{u}">{t}</a></p>\n', foot='<small class="text-muted">{t}</small><br>\n', hero_chance=0.1),
    "dark": Layout(
        _HEAD + '</head><body style="margin:0;background:#121212">{hidden}<div style="max-width:{l.width}px;margin:0 auto;background:#1e1e1e;padding:28px;font-family:{l.font}">{body}</div></body></html>',
        p='<p style="color:#e0e0e0;font-size:{l.size}px;line-height:1.6">{t}</p>\n', h='<h1 style="color:#ffffff;font-size:30px">{t}</h1>\n', cta=_BUTTON,
        row='<tr><td style="color:#9e9e9e">{a}</td><td style="color:#fff" align="right">{b}</td></tr>', item='<tr><td><img src="{s}" width="90"></td><td style="color:#e0e0e0">{a}<br>{b}</td></tr>',
        foot='<p style="color:#757575;font-size:11px">{t}</p>\n', hero_chance=0.4),
    "old": Layout('<HTML><HEAD><TITLE>{title}</TITLE></HEAD><BODY BGCOLOR="#FFFFFF">{hidden}<FONT FACE="Arial" SIZE="2" COLOR="{l.ink}">{body}</FONT></BODY></HTML>', p="{t}<BR><BR>\n", h="<B>{t}</B><BR><BR>\n",
                 cta='<A HREF="{u}">{t}</A><BR><BR>\n', foot='<FONT SIZE="1">{t}</FONT><BR>\n', hero_chance=0.1),
    "editor": Layout('<div style="font-family:{l.font}">{hidden}{body}</div>', p="<div>{t}</div><div><br></div>\n", h='<div><span style="font-size:18pt;color:{l.main}"><strong>{t}</strong></span></div>\n',
                    cta='<div style="text-align:center"><span style="background-color:{l.main};color:#fff"><a href="{u}" style="color:#fff">{t}</a></span></div>\n', foot='<div><span style="font-size:8pt">{t}</span></div>\n', hero_chance=0.15),
    "bands": Layout(
        _HEAD + '</head><body style="margin:0;padding:0">{hidden}<table width="100%" cellspacing="0"><tr><td height="8" bgcolor="{l.main}"></td></tr></table>{body}<table width="100%"><tr><td height="8" bgcolor="{l.main}"></td></tr></table></body></html>',
        p='<table width="100%"><tr><td align="center"><table width="{l.width}"><tr><td style="font-family:{l.font};font-size:{l.size}px">{t}</td></tr></table></td></tr></table>\n',
        h='<table width="100%" bgcolor="{l.back}"><tr><td align="center" style="font-family:{l.font};font-size:28px;padding:24px;color:{l.main}">{t}</td></tr></table>\n', cta=_BUTTON, item=_GRID_ITEM, items=_GRID, foot=_GREY, hero_chance=0.5),
}  # fmt: skip

PERSON: dict[str, Layout] = {
    "gmail-div": Layout('<div dir="ltr">{hidden}{body}</div>\n', p="<div>{t}</div><div><br></div>", h="<div><b>{t}</b></div>", logo="", foot='<div class="gmail_signature">{t}</div>', cta='<div><a href="{u}">{t}</a></div>', hero_chance=0.0),
    "apple": Layout('<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body style="word-wrap: break-word; -webkit-nbsp-mode: space; line-break: after-white-space;" class="">{hidden}{body}</body></html>',
                   p='<div class="">{t}</div><div class=""><br class=""></div>', h='<div class=""><b>{t}</b></div>', logo="", foot='<div class="">{t}</div>', cta='<div><a href="{u}" class="">{t}</a></div>', hero_chance=0.0),
    "phone": Layout('<html><head><meta http-equiv="content-type" content="text/html; charset=utf-8"></head><body dir="auto">{hidden}{body}</body></html>', p='<div dir="ltr">{t}</div>', h='<div dir="ltr">{t}</div>', logo="",
                   foot='<div dir="ltr">{t}</div>', cta='<div dir="ltr"><a href="{u}">{t}</a></div>', hero_chance=0.0),
    "outlook-web": Layout('<html><head><style type="text/css" style="display:none;"> P {{margin-top:0;margin-bottom:0;}} </style></head><body dir="ltr">{hidden}<div style="font-family: Calibri, Helvetica, sans-serif; font-size: 12pt; color: rgb(0, 0, 0);">{body}</div></body></html>',
                         p='<div class="elementToProof">{t}</div><div><br></div>', h="<div><b>{t}</b></div>", logo="", foot="<div>{t}</div>", cta='<div><a href="{u}" id="LPlnk">{t}</a></div>', hero_chance=0.0),
    "word-person": BULK["word"],
}  # fmt: skip

NOTICE: dict[str, Layout] = {
    "pre": Layout('<html><body><pre style="white-space:pre-wrap">{hidden}{body}</pre></body></html>', p="{t}\n\n", h="{t}\n\n", logo="", row="{a}: {b}\n", rows="{t}\n", item="{a}  {b}\n", items="{t}\n", cta='<a href="{u}">{u}</a>\n\n',
                 foot="{t}\n", hero_chance=0.0),
    "minimal": BULK["minimal"],
    "card": BULK["card"],
    "word": BULK["word"],
}  # fmt: skip

LAYOUTS: dict[str, dict[str, Layout]] = {"bulk": BULK, "person": PERSON, "notice": NOTICE}
_DRAW: dict[str, Weighted[str]] = {
    "bulk": Weighted(dict(zip(BULK, (22.0, 12.0, 4.0, 6.0, 8.0, 13.0, 9.0, 9.0, 4.0, 4.0, 4.0, 5.0), strict=True))),
    "person": Weighted(dict(zip(PERSON, (34.0, 14.0, 14.0, 18.0, 20.0), strict=True))),
    "notice": Weighted(dict(zip(NOTICE, (25.0, 35.0, 25.0, 15.0), strict=True))),
}


def draw_layout(rng: Random, form: str) -> str:
    """Draw the name of a layout for a form."""
    return _DRAW[form].draw(rng)


_PAD = "&zwnj;&nbsp;" * 12


def _hidden(rng: Random, content: Content) -> str:
    """Return the hidden elements: the preheader, which previews show, and hidden text."""
    out = ""
    if content.preheader:
        style = rng.choice(("display:none;font-size:1px;color:#ffffff;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden",
                            "display:none!important;mso-hide:all", "display:none;max-height:0px;overflow:hidden"))  # fmt: skip
        pad = _PAD if chance(rng, 0.3) else ""
        out = f'<{(tag := rng.choice(("div", "span")))} style="{style}">{escape(content.preheader)}{pad}</{tag}>\n'
    for text in content.hidden:
        style = rng.choice(
            (
                "display:none",
                "font-size:0",
                "color:#ffffff;font-size:1px",
                "visibility:hidden;height:0",
                "font-size:1px;color:#fefefe",
            )
        )
        out += f'<div style="{style}">{escape(text)}</div>\n'
    return out


def _picture(rng: Random, content: Content) -> str:
    if content.inline_image and chance(rng, 0.5):
        return f"cid:{content.inline_image}"
    name = rng.choice(
        (
            f"{letters(rng, 6)}.png",
            f"{hexes(rng, 12)}.jpg",
            f"logo_{rng.randrange(99)}.png",
            f"{alnum(rng, 9)}.gif",
            "header.jpg",
        )
    )
    return f"https://{content.images}/{rng.choice(('img', 'images', 'media', 'email', 'assets', 'newsletter'))}/{name}"


def _foot(rng: Random, content: Content, layout: Layout, style: Theme) -> list[str]:
    out = [layout.foot.format(t=escape(line), l=style) for line in content.footer]
    if content.extra and chance(rng, 0.7):
        labels = (url.split("/")[2].removeprefix("www.").partition(".")[0].title() for url in content.extra)
        out.append(
            layout.foot.format(
                t=" | ".join(f'<a href="{url}">{label}</a>' for url, label in zip(content.extra, labels, strict=True)),
                l=style,
            )
        )
    if content.unsubscribe:
        out.append(
            layout.foot.format(
                t=f'<a href="{escape(content.unsubscribe_url)}">{escape(content.unsubscribe)}</a>', l=style
            )
        )
    if content.pixel:
        out.append(f'<img src="{content.pixel}" width="1" height="1" border="0" alt="">')
    return out


def _items(rng: Random, content: Content, layout: Layout, style: Theme) -> str:
    cells = "".join(layout.item.format(s=_picture(rng, content), u=escape(content.link()), a=escape(name), b=escape(price), l=style)
                    for name, price in content.items)  # fmt: skip
    return layout.items.format(t=cells, l=style)


def html(rng: Random, content: Content, layout: Layout, style: Theme) -> str:
    """Return the content as HTML."""
    out: list[str] = []
    target = escape(content.cta_url)
    if content.browser and chance(rng, 0.5):
        out.append(layout.foot.format(t=f'<a href="{escape(content.link())}">{escape(content.browser)}</a>', l=style))
    if layout.logo and chance(rng, 0.75):
        out.append(layout.logo.format(s=_picture(rng, content), t=escape(content.brand), l=style))
    if chance(rng, layout.hero_chance):
        out.append(layout.hero.format(s=_picture(rng, content), u=target, t=escape(content.title), l=style))
    if content.title:
        out.append(layout.h.format(t=escape(content.title), l=style))
    body = ([content.greeting] if content.greeting else []) + content.paragraphs
    out += [layout.p.format(t=escape(text).replace("\n", "<br>\n"), l=style) for text in body]
    if content.photo:
        out.append(
            f'<div><img src="{_picture(rng, content)}" alt="IMG_{rng.randrange(1000, 9999)}.jpg" width="480"></div>'
        )
    if content.rows:
        out.append(
            layout.rows.format(
                t="".join(layout.row.format(a=escape(a), b=escape(b), l=style) for a, b in content.rows), l=style
            )
        )
    if content.items:
        out.append(_items(rng, content, layout, style))
    if content.cta:
        out.append(layout.cta.format(u=target, t=escape(content.cta), s=_picture(rng, content), l=style))
    out += [layout.p.format(t=escape(text).replace("\n", "<br>\n"), l=style) for text in content.closing]
    if content.quoted:
        out.append('<div class="gmail_quote"><blockquote type="cite" style="margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex">'
                   + "<br>".join(map(escape, content.quoted)) + "</blockquote></div>")  # fmt: skip
    out += _foot(rng, content, layout, style)
    return layout.page.format(title=escape(content.title), hidden=_hidden(rng, content), body="".join(out), l=style)


def plain(content: Content) -> str:
    """Return the content as plain text."""
    out = [content.greeting, *content.paragraphs]
    out += [f"{a}: {b}" for a, b in content.rows] + [f"* {name}  {price}" for name, price in content.items]
    if content.cta:
        out.append(f"{content.cta}:\n{content.cta_url}")
    out += content.closing
    if content.quoted:
        out.append("\n".join("> " + line for line in content.quoted))
    if content.footer:
        out.append("-- \n" + "\n".join(content.footer))
    if content.unsubscribe:
        out.append(f"{content.unsubscribe}: {content.unsubscribe_url}")
    return "\n\n".join(text for text in out if text) + "\n"
