#!/usr/bin/env bash
# As process 1 of fresh namespaces: become systemd over a copy of / that is written to memory and ends with it.
#   unshare --mount --pid --uts --ipc --net --cgroup --fork boot.sh FOLDER [PATH...]
# FOLDER is empty; each PATH lies on another file system than /, or below /tmp, and is to be seen there as well.
#
# Nothing of the machine is changed: every mount is of this namespace, /proc/sys and /sys are read-only, no device
# but the harmless ones is there, and process 1 can neither set the clock nor load a module. container= tells systemd
# that the kernel is not its own to set up.
set -euo pipefail
folder=$1
shift
root=$folder/root

mount --make-rprivate /
mount -t tmpfs -o mode=0755 tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" overlay "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for name in run srv dev; do mount -t tmpfs -o mode=0755 tmpfs "$root/$name"; done
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
for path in "$@"; do
    mkdir -p "$root$path"
    mount --rbind "$path" "$root$path"
done
mkdir "$root/dev/shm" "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"  # PrivateDevices= copies it
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
for node in null zero full random urandom tty; do
    [ -e "/dev/$node" ] || continue
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done

# Of this machine's services none but the journal starts.
: >"$root/etc/fstab"
rm -rf "$root/etc/systemd/system" "$root/etc/systemd/system.conf.d"
mkdir -p "$root/etc/systemd/system"
for unit in "$root"/lib/systemd/system/*.target.wants/*; do
    case ${unit##*/} in
        systemd-journald.service | systemd-journald.socket | systemd-journald-dev-log.socket) ;;
        systemd-tmpfiles-setup.service) ;;
        *) ln -sf /dev/null "$root/etc/systemd/system/${unit##*/}" ;;
    esac
done
ln -sf /dev/null "$root/etc/systemd/system/timers.target"
printf '[Unit]\nDescription=A ground for tests\nRequires=basic.target\nAfter=basic.target\n' \
    >"$root/etc/systemd/system/ground.target"

cd "$root"
mkdir -p mnt/old
pivot_root . mnt/old
umount -l /mnt/old
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=storaged-test \
    setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-wake_alarm \
    /lib/systemd/systemd --unit=ground.target --log-target=journal
