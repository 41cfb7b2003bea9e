"""What Git LFS leaves in the place of a tokenizer is called by its name."""

import pytest

from bam_jax.data import tokenizer_files

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n"


@pytest.mark.parametrize(
  "names",
  [
    ["vocab.txt"],
    ["tokenizer.json"],
    ["vocab.json", "merges.txt"],
    ["vocab.txt", "tokenizer_config.json"],
  ],
)
def test_a_pointer_is_no_tokenizer(tmp_path, names):
  for name in names:
    (tmp_path / name).write_bytes(POINTER)
  with pytest.raises(ValueError, match="is a Git LFS pointer, not the file"):
    tokenizer_files.read(tmp_path)
