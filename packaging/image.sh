#!/bin/bash
# Build spamlstm-VERSION-image.tar.gz for `podman load` or `docker load`, on Debian and without a daemon. `make image` runs
# this script after deb.sh.
#
#   packaging/image.sh [BUILD [DIST]]    # folders for temporary files and for the image
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=/usr/sbin:/usr/bin:/sbin:/bin
build=$(realpath -m "${1:-build}/image")
dist=$(realpath -m "${2:-dist}")
root=$build/root
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' spamlstm/__init__.py)
python=python$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || date +%s)}"

command -v buildah >/dev/null || { echo "make image needs buildah: apt-get install buildah" >&2; exit 69; }
rm -rf "$build"
mkdir -p "$root" "$build/debs" "$build/context" "$dist"

# What the package needs of Debian. The package itself was built by deb.sh.
(cd "$build/debs" && apt-get download -qq "$python-minimal" "lib$python-minimal" "lib$python-stdlib" base-files \
    ca-certificates libbz2-1.0 libc6 libexpat1 libffi8 libgcc-s1 liblzma5 libsqlite3-0 libssl3 libstdc++6 libuuid1 netbase zlib1g)
for package in "$build"/debs/*.deb "$dist"/spamlstm_"$version"_*.deb; do
    dpkg-deb -x "$package" "$root"
done

# No services, and no texts but licences.
(cd "$root" && rm -rf boot home media mnt srv lib/systemd usr/lib/{sysusers.d,systemd,tmpfiles.d} etc/{init.d,kernel} \
    usr/share/{bash-completion,bug,fish,gcc,gdb,info,lintian,man,zsh} usr/lib/*/gconv usr/lib/"$python"/{distutils,pydoc_data,test,turtle.py,unittest})
find "$root/usr/share/doc" -type f -not -name copyright -delete
find "$root/usr/share/doc" -type d -empty -delete
cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
rm -r "$root/usr/share/ca-certificates"
ln -s "$python" "$root/usr/bin/python3"
PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash -s "$root" -p / "$root/usr/lib/$python"

# The user has the number that images of mail servers use for vmail.
echo "root:x:0:0:root:/root:/usr/sbin/nologin
vmail:x:5000:5000:Owner of virtual mail:/var/vmail:/usr/sbin/nologin" >"$root/etc/passwd"
echo "root:x:0:
vmail:x:5000:" >"$root/etc/group"
mkdir -p "$root"/{etc,var/lib,run}/spamlstm "$root/var/vmail"

fixed=(--sort=name --mtime="@$SOURCE_DATE_EPOCH" --format=gnu --numeric-owner)
tar -C "$root" "${fixed[@]}" --owner=0 --group=0 --exclude=./var/lib/spamlstm --exclude=./var/vmail --exclude=./run/spamlstm \
    -cf "$build/context/root.tar" .
tar -C "$root" "${fixed[@]}" --owner=5000 --group=5000 -rf "$build/context/root.tar" var/lib/spamlstm var/vmail run/spamlstm

store=(buildah --root "$build/storage" --runroot "$build/runroot" --storage-driver vfs)
"${store[@]}" build -q --isolation chroot --format docker --timestamp "$SOURCE_DATE_EPOCH" \
    -f packaging/container/Containerfile -t "spamlstm:$version" "$build/context"
"${store[@]}" push -q "spamlstm:$version" "docker-archive:$build/image.tar:spamlstm:$version"
gzip -n <"$build/image.tar" >"$dist/spamlstm-$version-image.tar.gz"
ls -l "$build/image.tar" "$dist/spamlstm-$version-image.tar.gz"
