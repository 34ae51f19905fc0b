"""`edgekd bundle`."""

from tests.runtime.test_trt import export


def test_bundle(tmp_path, edgekd):
    (tmp_path / "export/fp32").mkdir(parents=True)
    export(tmp_path / "export/fp32")
    said = edgekd("bundle", tmp_path, "-o", tmp_path / "s.pyz")
    assert "m fp32" in said.stdout and "images" not in said.stdout and f"Next: python3 {tmp_path / 's.pyz'} bench" in said.stderr
    assert "--precision" in edgekd("bundle", tmp_path, "-o", tmp_path / "t.pyz", "--precision", "int8", code=2).output
    assert "edgekd export RUN" in edgekd("bundle", tmp_path / "none", "-o", tmp_path / "t.pyz", code=1).output
