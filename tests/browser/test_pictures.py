"""Pictures reach the text where the cursor is: chosen, dropped or pasted; large ones made small."""

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.conftest import PASTE
from tests.markers import night

SOURCE = r"!\[\]\(picture:[\w-]+\)"
# Gives a file to the text as the browser does that drops or pastes one.
GIVE = """(area, [how, base64, name]) => {
  const octets = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0))
  const data = new DataTransfer()
  data.items.add(new File([octets], name, {type: name.replace('tea.', 'image/')}))
  const about = {bubbles: true, cancelable: true}
  const event = how === 'paste' ? new ClipboardEvent('paste', {clipboardData: data, ...about})
    : new DragEvent('drop', {dataTransfer: data, ...about})
  return area.dispatchEvent(event)
}"""


def photograph(folder: Path) -> Path:
    """Take a photograph of 7 MB that lies on its side: red on top once it is turned."""
    image = Image.effect_noise((4000, 3000), 60).convert("RGB")
    image.paste("red", (0, 0, 1000, 3000))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = folder / "IMG_0001.jpg"
    image.save(file, quality=92, exif=exif)
    assert file.stat().st_size > 6_000_000
    return file


def small(form: str = "png", size: tuple[int, int] = (40, 30)) -> str:
    """Return a picture that is transparent all over."""
    file = io.BytesIO()
    Image.new("RGBA", size).save(file, form)
    return base64.b64encode(file.getvalue()).decode()


def shown_as(picture: Locator) -> Image.Image:
    expect(picture).to_be_visible()
    data = str(picture.get_attribute("src")).split(",")[1]
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def cursor_behind(area: Locator, words: str) -> None:
    area.evaluate("(it, at) => it.setSelectionRange(at, at)", len(words))


@night("journeys in a browser")
def test_a_large_photograph_is_chosen_in_two_presses_and_made_small(page, text, tmp_path):
    text.fill("Before.\n\nBehind.")
    cursor_behind(text, "Before.")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Picture", exact=True).first.click()
    # The server would refuse it as it is: it takes 5 MB.
    chooser.value.set_files(photograph(tmp_path))
    expect(text).to_have_value(re.compile(rf"^Before\.\n\n{SOURCE}\n\nBehind\.$"))
    expect(page.locator("#adding")).to_contain_text("Between the brackets")
    page.keyboard.type("Tea")
    expect(text).to_have_value(re.compile(r"^Before\.\n\n!\[Tea\]\(picture:"))
    expect(page.locator("#adding")).to_be_empty()
    shown = page.frame_locator("iframe[name=preview]").get_by_role("img", name="Tea")
    size = "it => [it.naturalWidth, it.naturalHeight]"
    top = shown_as(shown)
    width, height = shown.evaluate(size)
    assert width < height, "it stands"
    red, green, blue = top.resize((1, 8)).getpixel((0, 0))  # type: ignore[misc]
    assert red > 200
    assert max(green, blue) < 100


@pytest.mark.expected(422)
def test_pictures_are_dropped_and_pasted_one_behind_the_other_and_a_bad_one_is_told(page, text):
    text.fill("Before.")
    cursor_behind(text, "Before.")
    added = "Before."
    poster = 4000, 3000  # more pixels than the server takes of a PNG
    for how, form, size in (("drop", "gif", (40, 30)), ("paste", "png", poster)):
        assert not text.evaluate(GIVE, [how, small(form, size), f"tea.{form}"])
        added += rf"\n\n{SOURCE}"
        expect(text).to_have_value(re.compile(f"^{added}$"))
    picture = page.frame_locator("iframe[name=preview]").locator("img").first
    assert min(shown_as(picture).getpixel((9, 9))) > 250, "made a JPEG, on white"  # type: ignore[arg-type]
    html = f"<b>Tea</b><img alt='cups' src='data:image/png;base64,{small()}'>"
    cursor_behind(text, text.input_value())
    assert not text.evaluate(PASTE, [html, "Tea"])
    added += rf"\*\*Tea\*\*\n\n{SOURCE}"
    expect(text).to_have_value(re.compile(f"^{added}$"))
    expect(page.locator("#left-out")).to_be_empty()
    text.evaluate(GIVE, ["drop", base64.b64encode(b"words").decode(), "tea.png"])
    expect(page.locator("#adding")).to_contain_text("Upload a JPEG, PNG or WebP.")
    expect(text).to_have_value(re.compile(f"^{added}$"))
