"""The HTML page: whole by itself, safe from odd text, readable anywhere."""

import base64
from html.parser import HTMLParser
import re

from bam_jax.report import page, sections
from bam_jax.report import write as report
from bam_jax.report.document import (
  Bold,
  Code,
  Paragraph,
  Picture,
  Section,
  Table,
)
from tests.outcomes import ODD, complete, record, results

HOSTILE = "<script>alert('x')</script> & \"q\" | _ % \\ {} $ # ~ ^ [b] `c`"
VOID = {"meta", "img", "br", "hr", "link"}
# Attributes by which a page reaches out, or runs something.
REACHING = {"src", "href", "action", "data", "poster", "srcset", "style"}


class Page(HTMLParser):
  """Reads a page: its elements, its text, and what is wrong with it."""

  def __init__(self, text):
    super().__init__()
    self.open, self.tags, self.attributes, self.wrong = [], [], [], []
    self.text = ""
    self.feed(text)
    self.close()
    self.wrong += self.open

  def handle_starttag(self, tag, attrs):
    self.tags.append(tag)
    self.attributes += [(tag, *pair) for pair in attrs]
    if tag not in VOID:
      self.open.append(tag)

  def handle_endtag(self, tag):
    if not self.open or self.open.pop() != tag:
      self.wrong.append(f"/{tag}")

  def handle_data(self, data):
    self.text += data


def page_of(found):
  parts = sections.sections(found)
  pictures = {
    block.name: b"\x89PNG" + bytes(20)
    for section in parts
    for block in section.blocks
    if isinstance(block, Picture)
  }
  return page.render(parts, pictures)


def check(text):
  """Fails unless a page needs nothing and nobody else."""
  read = Page(text)
  assert read.wrong == []
  assert not {"script", "link", "iframe", "object", "base"} & set(read.tags)
  for tag, name, value in read.attributes:
    assert not name.startswith("on"), (tag, name)
    if name in REACHING:
      assert value.startswith(("#", "data:image/png;base64,")), (tag, name)
  style = text.split("<style>")[1].split("</style>")[0]
  assert not re.search(r"url\(|@import|https?:", style)
  return read


def test_page_needs_nothing_and_nobody_else(tmp_path):
  report.write(complete(), tmp_path)
  text = (tmp_path / "report/report.html").read_text()
  read = check(text)
  for name in ("scores", "gains", "curves", "losses", "confusion"):
    png = (tmp_path / f"report/{name}.png").read_bytes()
    assert base64.b64encode(png).decode() in text, name
  links = [v for t, n, v in read.attributes if (t, n) == ("a", "href")]
  ids = [v for _, n, v in read.attributes if n == "id"]
  assert links == [f"#{each}" for each in ids[1:]]
  assert len(set(ids)) == len(ids)
  assert read.tags.count("img") == len(list(tmp_path.glob("report/*.png"))) == 9


def test_hostile_names_stay_text():
  methods = {
    name: {task: record(1.0, 2.0, 4.0) for task in (HOSTILE, ODD)}
    for name in ("single", HOSTILE)
  }
  found = complete(results(methods))
  device = {"kind": HOSTILE, "count": 1, "jax": HOSTILE}
  found |= dict(encoder=HOSTILE, commit=HOSTILE, device=device)
  found |= dict(command=HOSTILE, data=HOSTILE)
  read = check(page_of(found))
  assert "<script>alert('x')</script> & \"q\"" in read.text
  # Never twice either: what is read is what was written.
  assert "&lt;" not in read.text


def test_every_block_is_this():
  parts = [
    Section("T & T", (Paragraph(("a", Bold("<b>"), " c")),)),
    Section(
      "Second",
      (
        Table("t", ["A", "B", "C"], [["x<", "y", (Bold("1"), "∗")]], "", 2),
        Code("run 'a  b' > c"),
      ),
    ),
  ]
  text = page.render(parts, {})
  body = text.split("<main>\n")[1].split("</main>")[0]
  box = '<div class="box" role="region" aria-label="Second: {}" tabindex="0">'
  assert body == (
    '<section id="part-0">\n<h1>T &amp; T</h1>\n'
    '<nav aria-label="Contents"><ul><li><a href="#part-1">Second</a></li></ul>'
    "</nav>\n<p>a<strong>&lt;b&gt;</strong> c</p>\n</section>\n"
    '<section id="part-1">\n<h2>Second</h2>\n'
    f"{box.format('table')}<table>\n"
    '<thead><tr><th scope="col" class="name">A</th>'
    '<th scope="col" class="name">B</th><th scope="col">C</th></tr></thead>\n'
    '<tbody>\n<tr><th scope="row">x&lt;</th><td class="name">y</td>'
    "<td><strong>1</strong>∗</td></tr>\n</tbody>\n</table></div>\n"
    f"{box.format('command')}<pre><code>run &#x27;a  b&#x27; &gt; c</code>"
    "</pre></div>\n</section>\n"
  )


def test_what_is_wide_scrolls_in_a_box_of_its_own():
  read = Page(page_of(complete()))
  boxes = [v for t, n, v in read.attributes if (t, n, v) == ("div", n, "box")]
  assert len(boxes) == sum(map(read.tags.count, ("table", "img", "pre")))
  assert "overflow-x: auto" in page.STYLE
  assert ("meta", "content", "width=device-width, initial-scale=1") in (
    read.attributes
  )
  assert "prefers-color-scheme: dark" in page.STYLE
