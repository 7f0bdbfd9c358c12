#!/bin/sh
# rlcf @VERSION@, commit @COMMIT@, for Linux @MACHINE@ with glibc. This text is a shell script; behind it, compressed,
# are Deno @DENO@ and the program. The first start unpacks both to a directory of the user, later ones run them there.
# It needs sh, ls, id, wc, and for the first start also tail, head, gzip, sha256sum, mkdir, mktemp, chmod, mv, rm, sync
# and uname: coreutils and gzip, or busybox. RLCF_UNPACK_DIR=/a/directory chooses where it unpacks.
{ # A shell reads the whole group before it runs any of it: half a text does nothing.
set -fu
PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}
self=$0
case $self in */*) ;; *) [ ! -f "$self" ] || self=./$self ;; esac
unpack_dir=${RLCF_UNPACK_DIR-}
part='' flaw='' newline='
'

die() { # cause, what to do about it
  printf 'error: %s\n' "$1" >&2
  [ -z "${2-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 2
}

# What is on record of a file or directory, links not followed, in $mode, $owner and $bytes.
look() {
  seen=$(LC_ALL=C ls -ldn -- "$1" 2>/dev/null) || return 1
  set -- $seen
  mode=$1 owner=$3 bytes=$5
}

# Trusted are this user and root; also whoever owns /, because in a user namespace that is how root appears.
is_trusted() { case $owner in "$uid" | 0 | "$system") ;; *) return 1 ;; esac; }
is_open() { case $mode in ?????w* | ????????w*) ;; *) return 1 ;; esac; }
is_sticky() { case $mode in ?????????[tT]*) ;; *) return 1 ;; esac; }

# Whether nobody else can write to a directory, or put another one in its place.
is_protected() {
  at=$1
  while :; do
    look "$at" || { flaw="cannot look at $at"; return 1; }
    is_trusted || { flaw="$at belongs to the user with id $owner"; return 1; }
    if is_open && { [ "$at" = "$1" ] || ! is_sticky; }; then flaw="other users may write to $at"; return 1; fi
    [ "$at" != / ] || return 0
    at=${at%/*} at=${at:-/}
  done
}

# The real path of a directory, in $dir, if it can be trusted.
resolve() {
  case $1 in *"$newline"*) flaw="its name has a line break"; return 1 ;; /*) ;; *) flaw="it is no absolute path"; return 1 ;; esac
  look "$1" || { flaw="it cannot be made"; return 1; }
  is_trusted || { flaw="it belongs to the user with id $owner"; return 1; }
  dir=$(cd -P -- "$1" 2>/dev/null && pwd -P) || { flaw="it is no directory that this user may enter"; return 1; }
  is_protected "$dir"
}

# Whether a file is there, whole, and written by nobody else. Files get these names only after their hashes were checked.
is_whole() { # name, size
  look "$dir/$1" || { flaw="not unpacked there yet"; return 1; }
  case $mode in -*) ;; *) flaw="$dir/$1 is no file"; return 1 ;; esac
  is_trusted && ! is_open || { flaw="other users may write to $dir/$1"; return 1; }
  [ "$bytes" = "$2" ] || { flaw="$dir/$1 has $bytes bytes, wanted $2"; return 1; }
}

is_ready() {
  resolve "$1" && is_whole "$deno" "$deno_bytes" && is_whole "$program" "$program_bytes" || return 1
  [ -x "$dir/$deno" ] || { flaw="programs may not be run there"; return 1; }
}

extract() { # offset, compressed size, name, SHA-256
  why=$({ tail -c "+$1" -- "$self" | head -c "$2" | gzip -dc >"$part/$3"; } 2>&1) ||
    { flaw="cannot write there: $why"; return 1; }
  [ "$(sha256sum <"$part/$3")" = "$4  -" ] || { flaw="what was written there reads back differently"; return 1; }
}

unpack() {
  case $1 in /*) mkdir -p -- "${1%/*}/" 2>/dev/null; mkdir -- "$1" 2>/dev/null ;; esac
  resolve "$1" || return 1
  part=$(mktemp -d "$dir/.unpack.XXXXXX" 2>&1) || { flaw="cannot write there: $part"; part=''; return 1; }
  printf '#!/bin/sh\n' >"$part/probe" && chmod 700 "$part/probe" && "$part/probe" 2>/dev/null ||
    { flaw="programs may not be run there (noexec), or it is full"; return 1; }
  extract "$deno_at" "$deno_packed" "$deno" "$deno_sha256" &&
    extract "$program_at" "$program_packed" "$program" "$program_sha256" || return 1
  chmod 755 "$part" "$part/$deno" && chmod 644 "$part/$program" || { flaw="cannot change modes there"; return 1; }
  # The name must not reach the disk before the content does.
  sync "$part/$deno" "$part/$program" 2>/dev/null
  # Each rename is atomic, and whoever else unpacks at this moment puts the same file there.
  why=$(mv -f -- "$part/$deno" "$part/$program" "$dir/" 2>&1) || { flaw="cannot write there: $why"; return 1; }
  is_ready "$1"
}

clean() { [ -z "$part" ] || rm -rf -- "$part"; part=''; }

first_start() {
  for tool in tail head gzip sha256sum mkdir mktemp chmod mv rm sync uname; do
    command -v "$tool" >/dev/null || die "cannot unpack rlcf: the program $tool is not here" "Install coreutils and gzip, or busybox."
  done
  [ "$(uname -m)" = "$machine" ] || die "cannot start rlcf: this file is for $machine, this machine is $(uname -m)"
  [ "$(tail -c "+$deno_at" -- "$self" | sha256sum)" = "$packed_sha256  -" ] ||
    die "cannot start rlcf: $self is damaged, its SHA-256 is not what it was built with" "Download it again."
  trap clean EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  mask=$(umask)
  umask 022
  reasons=''
  for place in "$@"; do
    [ -n "$place" ] || continue
    unpack "$place" && break
    clean
    reasons="$reasons$newline  $place: $flaw" dir=''
  done
  clean
  umask "$mask"
  [ -n "$dir" ] || die "cannot unpack rlcf (it needs $((deno_bytes / 1000000 + 5)) MB):$reasons" \
    "Set RLCF_UNPACK_DIR to a directory that you alone (or root) can write to, where programs may be run."
  why=$("$dir/$deno" --version 2>&1) || die "cannot start rlcf: this system cannot run $dir/$deno: $why" "It needs glibc."
  trap - EXIT HUP INT TERM
}

[ -r "$self" ] || die "cannot start rlcf: its own file cannot be read as $self" "Start it by its path."
[ "$(($(wc -c <"$self")))" -eq "$total" ] ||
  die "cannot start rlcf: $self has $(($(wc -c <"$self"))) bytes, wanted $total: it was not downloaded to its end" "Download it again."
uid=$(id -u)
look / && system=$owner || die "cannot start rlcf: ls, of coreutils or busybox, does not work here"
dir='' home='' cache=${XDG_CACHE_HOME-}
case ${HOME-} in /?*) home=$HOME/.cache ;; esac
case $cache in /?*) ;; *) cache=$home ;; esac
if [ -n "$unpack_dir" ]; then
  set -- "$unpack_dir" '' '' "$@"
else
  set -- "${cache:+$cache/rlcf}" "${TMPDIR:-/tmp}/rlcf-$uid" "/var/tmp/rlcf-$uid" "$@"
fi
is_found=''
for place in "$1" "$2" "$3"; do
  if [ -n "$place" ] && is_ready "$place"; then is_found=yes; break; fi
done
[ -n "$is_found" ] || { dir=''; first_start "$1" "$2" "$3"; }
shift 3
# Deno's own settings: compiled code is kept beside it, and nothing that lies about is read.
export DENO_DIR="$dir/cache" DENO_NO_PACKAGE_JSON=1 DENO_NO_UPDATE_CHECK=1
# Large arrays in large pages: on some virtual machines a page touched for the first time costs more than what fills it.
export GLIBC_TUNABLES="${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}"
unset DENO_AUTO_SERVE DENO_COMPAT DENO_CONDITIONS NODE_OPTIONS
exec "$dir/$deno" run --quiet @FLAGS@ "$dir/$program" "$@"
exit 126; }
