# What runs as the first process of a user-mode Linux: MariaDB on a logical volume, backed up by the engine `snapshot`. WORK (an empty
# directory) and PROGRAMS (where `backstay` is) are set above. A step that fails ends it all; the last line says that none did.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
# There is no udev.
export DM_DISABLE_UDEV=1
trap 'echo o > /proc/sysrq-trigger; sleep 60' EXIT
set -euo pipefail

step() { echo "step: $* (after $SECONDS s)"; }

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs "$WORK"
cd "$WORK"
mkdir tmp lvm volume
export TMPDIR=$WORK/tmp LVM_SYSTEM_DIR=$WORK/lvm
# Nothing of the machine's own is written or read: the root file system is the host's.
echo 'backup { backup = 0 archive = 0 } devices { use_devicesfile = 0 }' > lvm/lvm.conf

step logical volume
modules=/usr/lib/uml/modules/$(uname -r)/kernel/drivers/md
for module in dm-mod dm-bufio dm-snapshot; do insmod "$modules/$module.ko"; done
pvcreate -q /dev/ubdb
vgcreate -q vg /dev/ubdb
lvcreate -q -L 600M -n data vg
mkfs.xfs -q /dev/vg/data
mount /dev/vg/data volume

step server
arguments="--no-defaults --user=root --skip-networking --innodb-use-native-aio=0 --innodb-buffer-pool-size=64M \
 --innodb-buffer-pool-size-max=64M --innodb-log-file-size=8M --tmpdir=$WORK/tmp"
start() { # data directory, socket, more arguments
    local data=$1 socket=$2; shift 2
    mariadbd $arguments --datadir="$data" --socket="$socket" --pid-file="$socket.pid" "$@" > "$socket.log" 2>&1 &
    for _ in $(seq 300); do
        mariadb-admin --no-defaults --socket="$socket" ping > /dev/null 2>&1 && return
        sleep 0.1
    done
    tail -n 20 "$socket.log"
    return 1
}
sql() { mariadb --no-defaults --user=root --socket="$1" --batch --skip-column-names --execute "$2"; }
mariadb-install-db --no-defaults --user=root --datadir="$WORK/volume/data" --auth-root-authentication-method=normal \
    --innodb-use-native-aio=0 --innodb-buffer-pool-size=64M --innodb-buffer-pool-size-max=64M --innodb-log-file-size=8M > install.log 2>&1
start "$WORK/volume/data" "$WORK/s" --log-bin=binlog --server-id=1 --binlog-format=ROW
sql s "CREATE DATABASE bank; CREATE TABLE bank.account (id INT PRIMARY KEY, balance BIGINT);
       CREATE TABLE bank.transfer (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(100));
       INSERT INTO bank.account VALUES (1, 1000), (2, 1000);
       CREATE TABLE bank.big (id INT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB);"
random="SHA2(RAND(), 512)"
sql s "INSERT INTO bank.big (v) SELECT CONCAT($random, $random, $random, $random, $random, $random, $random) FROM mysql.seq_1_to_15000"
cat > backstay.toml <<END
[repository]
url = "file://$WORK/repository"
[cluster.main]
server = "mariadb://root@localhost/?socket=$WORK/s"
data_dir = "$WORK/volume/data"
END
backstay() { "$PROGRAMS/backstay" --config "$WORK/backstay.toml" "$@"; }
backstay init > out 2>&1
load() {
    while :; do
        echo "START TRANSACTION; UPDATE bank.account SET balance = balance - 1 WHERE id = 1;
              UPDATE bank.account SET balance = balance + 1 WHERE id = 2; INSERT INTO bank.transfer (note) VALUES ('one pays two'); COMMIT;"
    done | mariadb --no-defaults --user=root --socket="$WORK/s"
}
load & load=$!

nothing_is_left() {
    for _ in $(seq 100); do
        [ -z "$(lvs --noheadings -o lv_name --select 'lv_name=~backstay')" ] && ! grep -q backstay- /proc/mounts \
            && [ -z "$(ls -d /run/backstay-* 2> /dev/null)" ] && return
        sleep 0.1
    done
    lvs; cat /proc/mounts; ls /run
    return 1
}
fails() { # exit code, text, arguments
    local code=0; backstay backup --engine snapshot "${@:3}" > out 2>&1 || code=$?
    [ $code = "$1" ] && grep -q "$2" out || { echo "expected exit code $1 and: $2; found $code and:"; cat out; return 1; }
    nothing_is_left
}

step backup
backstay backup --engine snapshot > out 2>&1 || { cat out; exit 1; }
backstay show latest --json > shown
grep -q '"provider": *"lvm"' shown
grep -o '"lock_milliseconds": *[0-9]*' shown
nothing_is_left

step restore
backstay restore latest --to-datadir "$WORK/restored" > out 2>&1 || { cat out; exit 1; }
start "$WORK/restored" "$WORK/r"
position=$(grep -o 'binlog\.[0-9]*:[0-9]*' shown | head -n 1)
file=${position%:*} offset=${position#*:}
expected=$(mariadb-binlog --no-defaults --base64-output=decode-rows --verbose --stop-position="$offset" "volume/data/$file" \
    | grep -c '### INSERT INTO `bank`.`transfer`')
found=$(sql r "SELECT COUNT(*) FROM bank.transfer")
echo "transfers at $position: $expected in the log, $found restored"
[ "$expected" = "$found" ]
[ "$(sql r 'SELECT SUM(balance) FROM bank.account')" = 2000 ]
[ "$(sql r 'CHECK TABLE bank.big, bank.transfer' | grep -c OK)" = 2 ]
sql r SHUTDOWN

step no space
fails 1 'no space in the volume group vg' --option provider=lvm --option lvm_size=100G

step wrong provider
fails 3 'needs a data directory on Btrfs' --option provider=btrfs

step a snapshot that fills up
while [ ! -e done ]; do dd if=/dev/urandom of=volume/junk bs=1M count=20 conv=fsync,notrunc 2> /dev/null; done & junk=$!
fails 1 'is void' --option provider=lvm --option lvm_size=4M
touch done; wait $junk; rm volume/junk

step killed
for moment in 0.5 1.5; do
    "$PROGRAMS/backstay" --config "$WORK/backstay.toml" backup --engine snapshot > out 2>&1 & job=$!
    sleep $moment
    pkill -KILL -P $job || true
    wait $job || true
    nothing_is_left
    "$PROGRAMS/backstay" --config "$WORK/backstay.toml" backup --engine snapshot > out 2>&1 & job=$!
    sleep $moment
    workers=$(pgrep -P $job) || true
    kill -KILL $job $workers 2> /dev/null || true
    wait $job || true
    backstay backup --engine snapshot > out 2>&1 || { cat out; exit 1; }
    nothing_is_left
done

kill $load
sql s "SELECT SUM(balance) FROM bank.account"
sql s SHUTDOWN
echo all is well
