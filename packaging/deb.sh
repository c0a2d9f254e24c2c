#!/bin/bash
# Build spamlstm_VERSION_ARCHITECTURE.deb on Debian, as any user. `make deb` runs this script.
#
#   packaging/deb.sh [BUILD [DIST]]    # folders for temporary files and for the package
#
# This script downloads the pinned wheels, because Debian does not have all of them. debian/rules needs no network.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=/usr/sbin:/usr/bin:/sbin:/bin # the package uses Debian's Python
build=$(realpath -m "${1:-build}/deb")
dist=$(realpath -m "${2:-dist}")
source=$build/spamlstm

pip=$(echo /usr/share/python-wheels/pip-*.whl)/pip # it runs without an installation
for program in /usr/bin/dpkg-buildpackage /usr/bin/dh "${pip%/pip}"; do
    [[ -e $program ]] && continue
    echo "make deb needs $program: apt-get install dpkg-dev debhelper python3-venv" >&2
    exit 69
done
rm -rf "$build"
mkdir -p "$source" "$dist"
python3 "$pip" --disable-pip-version-check -q wheel --only-binary :all: -c constraints.txt -w "$source/wheels" \
    '.[compressed,imap]'

cp -r packaging/debian systemd docs CHANGELOG.md README.md SECURITY.md "$source"
cp spamlstm/config/default.toml "$source/config.toml"
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' spamlstm/__init__.py)
# The time of the last commit, so that all builds of one commit have the same bytes.
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || date +%s)}"
cat >"$source/debian/changelog" <<END
spamlstm ($version) unstable; urgency=medium

  * See /usr/share/doc/spamlstm/CHANGELOG.md.

 -- spamlstm contributors <spamlstm@localhost>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
END
(cd "$source" && dpkg-buildpackage -b -us -uc)
mv "$build"/spamlstm_*.deb "$dist"
ls -l "$dist"/spamlstm_*.deb
