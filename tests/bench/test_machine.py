from pathlib import Path

from bench.machine import commit


def test_commit_is_read_from_git_files(tmp_path: Path) -> None:
    assert commit(tmp_path) == "unknown"
    (tmp_path / "HEAD").write_text("abc\n")
    assert commit(tmp_path) == "abc"
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit(tmp_path) == "unknown"
    (tmp_path / "packed-refs").write_text("# pack-refs\ndef refs/heads/main\n")
    assert commit(tmp_path) == "def"
