"""A wheel too large to be carried at once, in pieces: python benchmarks/gpu/pack.py split WHEEL FOLDER [MiB], join FOLDER TARGET.

`split` packs the wheel's content anew, tighter than a zip, and cuts it into pieces; `join` unpacks what pieces are there, once all are.
"""

import io
import lzma
import sys
import tarfile
import zipfile
from pathlib import Path

MIB = 1 << 20


def split(wheel: str, folder: str, mib: str = "55") -> int:
    """Pieces of at most so many MiB."""
    whole = Path(folder, "whole.tar.xz")
    whole.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive, lzma.open(whole, "wb", preset=6) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for member in archive.infolist():
            entry = tarfile.TarInfo(member.filename)
            entry.size = member.file_size
            tar.addfile(entry, io.BytesIO(archive.read(member)))
    content = whole.read_bytes()
    whole.unlink()
    cuts = range(0, len(content), int(mib) * MIB)
    for number, start in enumerate(cuts):
        Path(folder, f"{number + 1}-of-{len(cuts)}.piece").write_bytes(content[start : start + int(mib) * MIB])
    print(f"{len(content) / MIB:.0f} MiB in {len(cuts)} pieces in {folder}")
    return 0


def join(folder: str, target: str) -> int:
    """Unpack into a folder for PYTHONPATH; 1 while pieces are missing."""
    pieces = sorted(Path(folder).glob("*.piece"), key=lambda piece: int(piece.name.split("-")[0]))
    wanted = int(pieces[0].stem.split("-")[-1]) if pieces else 0
    if len(pieces) < max(1, wanted):
        print(f"{len(pieces)} of {wanted or '?'} pieces are here")
        return 1
    content = io.BytesIO(b"".join(piece.read_bytes() for piece in pieces))
    with lzma.open(content) as packed, tarfile.open(fileobj=packed) as tar:
        tar.extractall(target, filter="data")
    return 0


if __name__ == "__main__":
    sys.exit({"split": split, "join": join}[sys.argv[1]](*sys.argv[2:]))
