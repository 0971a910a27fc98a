# Try the image below $ROOT as compose.yml runs it: no network, its root read-only, no right to anything.
# tests/deploy/test_image.py reads what stands below each heading.
set -eu
as() {
  uid=$1
  shift
  chroot "$ROOT" setpriv --reuid="$uid" --regid=10000 --clear-groups --no-new-privs \
    --bounding-set=-all env -i PATH=/usr/bin:/bin "$@"
}
# shellcheck disable=SC2086 # one word a setting
web() { as 10001 $SETTINGS $OF_THE_WEB "$@"; }
# shellcheck disable=SC2086
worker() { as 10002 $SETTINGS $OF_THE_WEB $OF_THE_WORKER "$@"; }

for each in tmp run; do mount -t tmpfs -o mode=1777 tmpfs "$ROOT/$each"; done
for each in mail worker; do
  mount -t tmpfs -o mode=2770,uid=10002,gid=10000 tmpfs "$ROOT/var/lib/belong-$each"
done
cp -r "$SECRETS" "$ROOT/run/secrets"
chown 10002 "$ROOT/run/secrets/private" "$ROOT/run/secrets/index"
chmod 400 "$ROOT/run/secrets/private" "$ROOT/run/secrets/index"
mount -o remount,bind,ro "$ROOT"
ip link set lo up
umask 007

echo "## files"
as 0 find /opt /src -maxdepth 5 -not -path "*/site-packages/*/*" 2> /dev/null || true
echo "## writable"
web touch /opt/belong-mail/x 2>&1 || true
echo "## private"
web cat /run/secrets/private 2>&1 || true
echo "## dump"
worker pg_dump --version
echo "## version"
web $ENTRYPOINT --version
echo "## keys"
as 10001 BELONG_ENV=development PYTHONDONTWRITEBYTECODE=1 sh -c "cd /tmp && $ENTRYPOINT keys new"
echo "## upgrade"
worker $ENTRYPOINT db upgrade
echo "## health"
# shellcheck disable=SC2086
web $ENTRYPOINT $DEFAULT &
server=$!
tries=0
until said=$(eval "web $HEALTH" 2>&1); do
  tries=$((tries + 1))
  [ $tries -lt 120 ] || { echo "$said"; exit 9; }
  sleep 0.5
done
echo healthy
echo "## drain"
worker $ENTRYPOINT worker --drain
kill $server
wait $server || true
