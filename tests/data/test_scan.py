"""A scan counts pixels as they are, reads a file again when it changed and never fails because of its cache."""

import numpy as np
import pytest

from edgekd.data import open_layout
from edgekd.data.check import check_layout
from edgekd.data.scan import scan
from tests.conftest import write_pair


def scanned(root):
    """The rows, and the indices that were read from disk."""
    layout = open_layout("camvid", "train", str(root))
    read, plain = [], layout.read

    def spy(index):
        read.append(index)
        return plain(index)

    layout.read = spy
    return scan(layout, "camvid", "train", str(root), lambda done, total, note="": None), read


def same(first, second):
    return all((a.size == b.size).all() and (a.counts == b.counts).all() and a.fault == b.fault for a, b in zip(first, second, strict=True))


def test_counts_are_the_labels(camvid):
    rows, read = scanned(camvid)
    layout = open_layout("camvid", "train", str(camvid))
    assert read == list(range(8))
    for index, row in enumerate(rows):
        label = layout.read(index).label
        values, counts = np.unique(label, return_counts=True)
        expected = dict(zip(np.minimum(values, 11).tolist(), counts.tolist(), strict=True))
        assert {value: count for value, count in enumerate(row.counts.tolist()) if count} == expected
        assert row.size.tolist() == [48, 64] and not row.fault


def test_only_what_changed_is_read_again(camvid):
    first, _ = scanned(camvid)
    second, read = scanned(camvid)
    assert read == [] and same(first, second)
    write_pair(camvid / "train/005.png", camvid / "trainannot/005.png", np.full((48, 64), 7), seed=99)
    third, read = scanned(camvid)
    assert read == [5] and third[5].counts[7] == 48 * 64


def test_a_fault_is_kept_until_it_is_mended(camvid):
    mask = camvid / "trainannot/003.png"
    sound = mask.read_bytes()
    mask.write_bytes(sound[:60])
    assert "003.png is cut short" in scanned(camvid)[0][3].fault
    rows, read = scanned(camvid)
    assert "003.png is cut short" in rows[3].fault and read == []
    mask.write_bytes(sound)
    rows, read = scanned(camvid)
    assert rows[3].fault == "" and read == [3]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nonsense", None])
def test_a_damaged_cache_costs_time_only(camvid, cache, damage):
    first, _ = scanned(camvid)
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:-200] if damage is None else damage)
    second, read = scanned(camvid)
    assert len(read) == 8 and same(first, second)
    assert scanned(camvid)[1] == []


def test_an_unwritable_cache_costs_time_only(camvid, cache, capsys):
    cache.parent.write_text("a file where the folder should be")
    assert len(scanned(camvid)[0]) == 8 and len(scanned(camvid)[1]) == 8
    assert "not kept" in capsys.readouterr().err


def test_an_interrupted_scan_keeps_what_it_read(camvid):
    def interrupt(done, total, note=""):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(open_layout("camvid", "train", str(camvid)), "camvid", "train", str(camvid), interrupt)
    assert scanned(camvid)[1] == [5, 6, 7]


def test_another_mapping_is_another_cache(tmp_path):
    import yaml

    write_pair(tmp_path / "d/train/images/0.png", tmp_path / "d/train/masks/0.png", np.zeros((4, 4), int))
    for mapping, name in (({0: 0}, "a"), ({0: 1}, "b")):
        (tmp_path / "d/dataset.yaml").write_text(yaml.safe_dump({"names": ["a", "b"], "mapping": mapping}))
        report = check_layout("folder", "train", str(tmp_path / "d"), lambda done, total, note="": None)
        assert report.pixels[name] == 1


def test_nothing_in_the_cache_is_a_pickle(camvid, cache):
    scanned(camvid)
    (file,) = cache.iterdir()
    with np.load(file, allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)


def test_drawn_layouts_are_counted_without_a_cache(cache):
    layout = open_layout("streetscape", "val", size=(48, 64), count=2)
    rows = scan(layout, "streetscape", "val", None, lambda done, total, note="": None)
    assert sum(int(row.counts.sum()) for row in rows) == 2 * 48 * 64 and not cache.exists()
