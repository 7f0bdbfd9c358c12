#!/usr/bin/env bash
# Packs the GPU benchmark into one archive that needs nothing on the target but the GPU's driver (x86-64 Linux, tar, xz):
#
#   bench/gpu/pack.sh                     writes dist/rlcf-gpu-bench.tar (about 35 MB, a minute)
#   scp dist/rlcf-gpu-bench.tar host: && ssh host 'tar xf rlcf-gpu-bench.tar && rlcf-gpu-bench/run.sh'
#
#   bench/gpu/pack.sh --fast              compresses less (about 40 MB), in a sixth of the time
#   bench/gpu/pack.sh --output FOLDER     writes there instead of dist; FOLDER/rlcf-gpu-bench is replaced
#
# In it: deno (compressed), the bundled benchmark, PyTorch's script, the Vulkan loader, and the libraries that drivers
# link to on a machine with a desktop and miss on one without. PyTorch itself has to be there already, or is not measured.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)

folder=$root/dist
level=6
while [ $# -gt 0 ]; do
  case $1 in
    --fast) level=0 ;;
    --output)
      folder=$(realpath --canonicalize-missing "${2:?pack.sh: --output needs a folder}")
      shift
      ;;
    *)
      echo "pack.sh: unknown argument '$1'; wanted [--fast] [--output FOLDER]" >&2
      exit 2
      ;;
  esac
  shift
done
cd "$root"

out=$folder/rlcf-gpu-bench
rm -rf "$out" "$out.tar"
mkdir -p "$out/lib"

deno bundle --quiet --minify --output "$out/main.js" bench/gpu/main.ts
cp bench/gpu/run.sh bench/peers/torch_reinforce.py "$out/"

# The binary itself, not a launcher of npm.
deno=$(deno eval --quiet 'console.log(Deno.execPath())')
xz --threads=0 "-$level" --stdout "$deno" >"$out/deno.xz"

# Only root has the folder of ldconfig on its PATH everywhere.
libraries=$(dirname "$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p | awk '/libvulkan\.so\.1 .*x86-64/ {print $NF; exit}')")
if [ ! -e "$libraries/libvulkan.so.1" ]; then
  echo "cannot pack: libvulkan.so.1 not found here; install it (Debian: apt-get install libvulkan1)" >&2
  exit 1
fi
for name in libvulkan.so.1 libGLdispatch.so.0 libEGL.so.1 libGLX.so.0 libX11.so.6 libXext.so.6 libxcb.so.1 libXau.so.6 \
  libXdmcp.so.6 libbsd.so.0 libmd.so.0; do
  if [ -e "$libraries/$name" ]; then cp --dereference "$libraries/$name" "$out/lib/"; fi
done

tar --create --file "$out.tar" --directory "$folder" rlcf-gpu-bench
echo "$out.tar: $(du -h "$out.tar" | cut -f1)"
