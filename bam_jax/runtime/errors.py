"""What an error says, in one line. Needs nothing but Python."""


def sentence(error: BaseException) -> str:
  """Returns what to say of an error; the system's own say no more than why."""
  if isinstance(error, OSError) and error.strerror and error.filename:
    return f"{error.filename}: {error.strerror}"
  return str(error)


def one_line(error: BaseException) -> str:
  """Returns what an error says, without line breaks."""
  return " ".join(sentence(error).split()) or repr(error)


def first_line(error: BaseException) -> str:
  """Returns the first line of what an error says."""
  lines = [line for line in str(error).splitlines() if line.strip()]
  return lines[0].strip() if lines else repr(error)
