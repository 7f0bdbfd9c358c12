#!/usr/bin/env bash
# Runs the GPU benchmark from the folder that bench/gpu/pack.sh has packed, or from the repository:
#
#   run.sh [--dry-run] [--json FILE]      the report goes to FILE, ./gpu-bench.json by default
#
# Nothing is installed and nothing outside the report is left behind. Exit 1: the kernels compute something wrong.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

json=gpu-bench.json
flags=()
while [ $# -gt 0 ]; do
  case $1 in
    --dry-run) flags+=(--dry-run) ;;
    --json)
      json=${2:?run.sh: --json needs a file name}
      shift
      ;;
    *)
      echo "run.sh: unknown argument '$1'; wanted [--dry-run] [--json FILE]" >&2
      exit 2
      ;;
  esac
  shift
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -e "$here/deno.xz" ]; then
  xz --decompress --stdout "$here/deno.xz" >"$work/deno"
  chmod +x "$work/deno"
  deno=$work/deno
  main=$here/main.js
  torch=$here/torch_reinforce.py
else
  deno=deno
  main=$work/main.js
  torch=$here/../peers/torch_reinforce.py
  (cd "$here/../.." && deno bundle --quiet --minify --output "$main" bench/gpu/main.ts)
fi
export DENO_DIR=$work/cache DENO_NO_UPDATE_CHECK=1 XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$work}

# Only libraries that this machine lacks: its own fit its driver better.
export RLCF_BENCH_LIBRARY_PATH=${LD_LIBRARY_PATH:-}
mkdir "$work/lib"
known=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null || true)
for library in "$here"/lib/*; do
  if [ -e "$library" ] && [[ $known != *"$(basename "$library") "* ]]; then ln -s "$library" "$work/lib/"; fi
done
export LD_LIBRARY_PATH=$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# Containers often mount NVIDIA's driver where the Vulkan loader does not look.
if [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]; then
  for icd in /usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json; do
    if [ -e "$icd" ] && ! ls /usr/share/vulkan/icd.d/nvidia* /etc/vulkan/icd.d/nvidia* >/dev/null 2>&1; then
      export VK_DRIVER_FILES=$icd VK_ICD_FILENAMES=$icd
    fi
  done
fi

"$deno" run --quiet --no-prompt --no-config --unstable-webgpu --unstable-raw-imports -A "$main" \
  --json "$json" --torch "$torch" "${flags[@]}"
