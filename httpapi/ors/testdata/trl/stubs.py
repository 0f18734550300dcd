"""Let the CUDA build of PyTorch load where there is no CUDA.

PyPI's PyTorch for Linux is linked against two gigabytes of CUDA libraries, which the loader
wants to see and which nothing calls on a machine without a GPU. For each that is not
installed this writes a library of its name into torch/lib that has the symbols that are
asked for; one that is called all the same traps. Needs binutils and a C compiler.

    python stubs.py
"""

import collections
import importlib.util
import pathlib
import re
import subprocess
import tempfile

LIB = pathlib.Path(importlib.util.find_spec("torch").submodule_search_locations[0]) / "lib"
CUDA = re.compile(r"lib(cu|nv|nccl)")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed(lib):
    return re.findall(r"\(NEEDED\).*\[(.+?)\]", run("readelf", "-dW", lib))


def sources(lib):
    """Which library a symbol's version is said to come from."""
    found, where = {}, None
    for line in run("readelf", "-VW", lib).partition("Version needs")[2].splitlines():
        if m := re.search(r"File: (\S+)", line):
            where = m[1]
        if m := re.search(r"Name: (\S+)", line):
            found[m[1]] = where
    return found


def symbols(lib, which):
    return [line.split()[-1] for line in run("nm", "-D", which, "--with-symbol-versions", lib).splitlines()]


def write(name, wanted):
    """Write a library that has the wanted symbols, by version; "" is none."""
    with tempfile.TemporaryDirectory() as folder:
        code, script = pathlib.Path(folder, "stub.c"), pathlib.Path(folder, "stub.map")
        every = sorted(set().union(*wanted.values()))
        code.write_text("".join(f"void {s}(void) {{ __builtin_trap(); }}\n" for s in every) + "void astra_stub(void) {}\n")
        script.write_text("".join(f"{v} {{ {'; '.join(sorted(s))}; }};\n" for v, s in sorted(wanted.items()) if v) or "{ global: *; };\n")
        run("cc", "-w", "-shared", "-fPIC", "-fno-builtin", "-o", str(LIB / name), str(code), f"-Wl,-soname,{name}", f"-Wl,--version-script={script}")


def main():
    libs = [str(p) for p in sorted(LIB.glob("*.so*")) if not CUDA.match(p.name)]
    installed = {p.name for p in LIB.parent.parent.glob("nvidia/**/lib/*.so*")}
    wanted = {n: collections.defaultdict(set) for lib in libs for n in needed(lib) if CUDA.match(n) and n not in installed}
    own = {s.split("@")[0] for lib in libs for s in symbols(lib, "--defined-only")}
    for lib in libs:
        source, missing = sources(lib), [n for n in needed(lib) if n in wanted]
        for symbol in symbols(lib, "--undefined-only"):
            name, _, version = symbol.partition("@")
            version = version.lstrip("@")
            if version and source.get(version) in wanted:
                wanted[source[version]][version].add(name)
            elif not version and missing and name not in own and CUDA.match("lib" + name):
                wanted[missing[-1]][""].add(name)
    for name, by_version in wanted.items():
        write(name, by_version)
        print(name, sum(map(len, by_version.values())))


main()
