#!/bin/bash
# Build spamlstm-VERSION-image.tar.gz for `podman load` or `docker load`, on Debian and without a daemon. `make image` runs
# this script after deb.sh.
#
#   packaging/image.sh [BUILD [DIST]]    # folders for temporary files and for the image
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 022
export LC_ALL=C.UTF-8 TZ=UTC
build=$(realpath -m "${1:-build}/image")
dist=$(realpath -m "${2:-dist}")
root=$build/root
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' spamlstm/__init__.py)
python=python$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
packages=usr/lib/spamlstm/lib/$python/site-packages
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || date +%s)}"

rm -rf "$build"
mkdir -p "$root" "$build/debs" "$dist"

# What the package needs of Debian. The package itself was built by deb.sh. The packages of OpenSSL, and what it needs, differ
# between the releases of Debian.
mapfile -t openssl < <(ldd "/usr/lib/$python"/lib-dynload/_ssl.*.so | sed -n 's,^\s*\(\S*\) => .*,*-linux-gnu/\1,p' |
    xargs dpkg -S | sed 's/:.*//' | sort -u)
(cd "$build/debs" && apt-get download -qq "$python-minimal" "lib$python-minimal" "lib$python-stdlib" base-files \
    ca-certificates libbz2-1.0 libexpat1 libffi8 libgcc-s1 liblzma5 libsqlite3-0 libstdc++6 libuuid1 netbase zlib1g "${openssl[@]}")
for package in "$build"/debs/*.deb "$dist"/spamlstm_"$version"_*.deb; do
    dpkg-deb -x "$package" "$root"
done

# No services, no texts but licences, and no retraining, which needs PyTorch. Nothing uses these parts of the C library, of
# Expat, of Python (its own tests and debuggers, modules that modules in C replace, sound, terminals, old protocols) and
# of numpy, which loads them on first use.
(cd "$root" && rm -rf boot home media mnt srv lib/systemd usr/lib/{sysusers.d,systemd,tmpfiles.d} etc/{init.d,kernel} \
    usr/share/{bash-completion,bug,fish,gcc,gdb,info,lintian,man,zsh} usr/lib/*/gconv usr/lib/"$python"/{distutils,pydoc_data,test,turtle.py,unittest} \
    usr/lib/"$python"/{_pydecimal.py,_pyio.py,doctest.py,pdb.py,pickletools.py,pydoc.py,venv,wsgiref,xmlrpc} \
    usr/lib/"$python"/{aifc.py,chunk.py,cgitb.py,nntplib.py,sndhdr.py,sunau.py,telnetlib.py,xdrlib.py} \
    usr/lib/"$python"/lib-dynload/{_crypt,_ctypes_test,_curses,_dbm,_lsprof,_test,_xx,audioop,nis,ossaudiodev,readline,xxlimited}* \
    lib/*/lib{mvec,nsl,thread_db}.so.1 usr/lib/*/libexpatw.so.1* "$packages"/spamlstm_training "$packages"/numpy/{fft,polynomial,testing})
find "$root/usr/share/doc" -type f -not -name copyright -delete
find "$root/usr/share/doc" -type d -empty -delete
cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
rm -r "$root/usr/share/ca-certificates"
ln -s "$python" "$root/usr/bin/python3"
PYTHONPATH=$root/$packages python3 -B - "$root/$packages/spamlstm/_models/default" <<END
import json, pathlib, sys
from spamlstm.model.bundle import MANIFEST, WEIGHTS, seal
folder = pathlib.Path(sys.argv[1])
(folder / WEIGHTS).unlink()
seal(folder, json.loads((folder / MANIFEST).read_text()))
END

# Byte code without its source, as PyInstaller installs programs. Packages that are nothing else are in the zip file that
# Python searches first, as in CPython's own package for embedding; Python finds its folder by os.pyc.
find "$root" -name __pycache__ -type d -prune -exec rm -r {} +
find "$root/$packages" -name py.typed -delete
for folder in "$packages" "usr/lib/$python"; do
    PYTHONHASHSEED=0 python3 -m compileall -q -b --invalidation-mode unchecked-hash -s "$root" -p / "$root/$folder"
    find "$root/$folder" -name '*.py' -delete
done
for entry in "$root/$packages"/*; do
    [[ -n $(find "$entry" -type f -not -name '*.pyc') ]] || mv "$entry" "$root/usr/lib/$python"
done
(cd "$root/usr/lib/$python" && mv lib-dynload os.pyc .. && find . -exec touch -d "@$SOURCE_DATE_EPOCH" {} + &&
    python3 -m zipfile -c "../${python/./}.zip" ./* && rm -r ./* && mv ../lib-dynload ../os.pyc .)

# The user has the number that images of mail servers use for vmail.
echo "root:x:0:0:root:/root:/usr/sbin/nologin
vmail:x:5000:5000:Owner of virtual mail:/var/vmail:/usr/sbin/nologin" >"$root/etc/passwd"
echo "root:x:0:
vmail:x:5000:" >"$root/etc/group"
mkdir -p "$root"/{etc,var/lib,run}/spamlstm "$root/var/vmail"
chmod 700 "$root/var/lib/spamlstm"

fixed=(--sort=name --mtime="@$SOURCE_DATE_EPOCH" --format=gnu --numeric-owner)
tar -C "$root" "${fixed[@]}" --owner=0 --group=0 --exclude=./var/lib/spamlstm --exclude=./var/vmail --exclude=./run/spamlstm \
    -cf "$build/root.tar" .
tar -C "$root" "${fixed[@]}" --owner=5000 --group=5000 -rf "$build/root.tar" var/lib/spamlstm var/vmail run/spamlstm

python3 packaging/image_archive.py "$build/root.tar" "$version" "$(dpkg --print-architecture)" "$SOURCE_DATE_EPOCH" |
    gzip -n >"$dist/spamlstm-$version-image.tar.gz"
ls -l "$build/root.tar" "$dist/spamlstm-$version-image.tar.gz"
