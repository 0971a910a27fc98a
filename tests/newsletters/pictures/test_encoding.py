"""Pictures made anew: upright, small, without a trace; bent files are refused in words."""

import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

from belong_mail.newsletters.confinement import EncodedImage, InvalidImage
from belong_mail.newsletters.image_program import encode
from tests.newsletters.pictures.samples import GIF, HTML, SVG, file, opened, photograph, picture

ROOT = Path(__file__).resolve().parents[3]
RED, BLUE = (255, 0, 0), (0, 0, 255)


def is_near(found: object, wanted: tuple[int, ...]) -> bool:
    assert isinstance(found, tuple)
    return all(abs(a - b) < 12 for a, b in zip(found, wanted, strict=True))


def bomb(width: int, height: int) -> bytes:
    """Declare a huge PNG in a few octets."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_three_kinds_are_taken_and_become_jpeg_or_png(kind):
    encoded = encode(file(Image.new("RGB", (1800, 900), "teal"), kind))
    assert (encoded.width, encoded.height) == (1200, 600)
    assert encoded.media_type in {"image/jpeg", "image/png"}
    image = opened(encoded.content)
    assert image.size == (1200, 600)
    assert is_near(image.convert("RGB").getpixel((600, 300)), (0, 128, 128))


def test_a_small_picture_keeps_its_size_and_a_tall_one_is_bounded():
    assert (encode(picture(40, 30)).width, encode(picture(40, 30)).height) == (40, 30)
    assert encode(picture(100, 9000)).height == 2400
    assert encode(picture(1, 1)).width == 1


def test_a_photographs_place_and_author_are_gone_and_it_stands_upright():
    encoded = encode(photograph())
    image = opened(encoded.content)
    assert image.size == (40, 60)
    assert dict(image.getexif()) == {}
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert b"Ada" not in encoded.content
    assert b"Exif" not in encoded.content
    assert is_near(image.getpixel((35, 30)), RED)
    assert is_near(image.getpixel((5, 30)), (255, 255, 255))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_metadata_and_bytes_after_the_picture_are_gone(kind):
    exif = Image.Exif()
    exif[0x013B] = "Ada of Denver"
    written = file(Image.new("RGB", (20, 20)), kind, exif=exif, icc_profile=b"Ada of Denver")
    assert b"Ada" in written
    content = encode(written + HTML + b"PK\x03\x04").content
    assert b"Ada" not in content
    assert HTML not in content


def test_a_transparent_picture_stays_transparent():
    image = Image.new("RGBA", (30, 20), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 15, 20))
    for kind in ("PNG", "WEBP"):
        encoded = encode(file(image, kind, lossless=True))
        assert encoded.media_type == "image/png"
        shown = opened(encoded.content)
        assert shown.getpixel((25, 10))[3] == 0  # type: ignore[index]
        assert shown.getpixel((5, 10)) == (*BLUE, 255)


def test_a_large_transparent_picture_gets_a_white_background():
    noise = Image.frombytes("RGB", (900, 900), random.Random(1).randbytes(900 * 900 * 3))
    noise.putalpha(Image.new("L", (900, 900), 0))
    encoded = encode(file(noise, "PNG"))
    assert encoded.media_type == "image/jpeg"
    assert is_near(opened(encoded.content).getpixel((5, 5)), (255, 255, 255))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_only_the_first_frame_of_a_moving_picture_is_kept(kind):
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    encoded = encode(file(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True))
    image = opened(encoded.content)
    assert getattr(image, "n_frames", 1) == 1
    assert is_near(image.convert("RGB").getpixel((9, 9)), RED)


@pytest.mark.parametrize(
    ("mode", "color", "kind", "wanted"),
    [
        ("CMYK", (0, 255, 255, 0), "JPEG", RED),
        ("L", 128, "PNG", (128, 128, 128)),
        ("LA", (128, 255), "PNG", (128, 128, 128)),
        ("1", 1, "PNG", (255, 255, 255)),
        ("P", 0, "PNG", (0, 0, 0)),
        ("I;16", 128 * 256, "PNG", (128, 128, 128)),
    ],
)
def test_colours_of_every_mode_arrive(mode, color, kind, wanted):
    encoded = encode(file(Image.new(mode, (20, 20), color), kind))
    assert is_near(opened(encoded.content).convert("RGB").getpixel((9, 9)), wanted)


@pytest.mark.parametrize(
    "strange",
    [b"", SVG, HTML, GIF, b"RIFF\x00\x00\x00\x00WAVE", b"%PDF-1.7", b"\x89PNG", b" " + picture()],
)
def test_a_file_that_is_no_jpeg_png_or_webp_is_refused(strange):
    with pytest.raises(InvalidImage, match="JPEG, PNG or WebP"):
        encode(strange)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_broken_pictures_are_refused_and_never_raise_anything_else():
    dice = random.Random(3)
    noise = Image.frombytes("RGB", (50, 50), dice.randbytes(7500))
    whole = [file(noise, kind) for kind in ("JPEG", "PNG", "WEBP")] + [photograph()]
    for content in whole[:3]:
        with pytest.raises(InvalidImage, match="damaged"):
            encode(content[: len(content) // 2])
    with pytest.raises(InvalidImage, match="damaged"):
        encode(b"\xff\xd8\xff" + HTML)
    for _ in range(600):
        bent = bytearray(dice.choice(whole))
        for _ in range(4):
            bent[dice.randrange(len(bent))] = dice.randrange(256)
        try:
            assert isinstance(encode(bytes(bent)), EncodedImage)
        except InvalidImage:
            continue


def test_too_many_pixels_are_refused_before_they_are_unpacked():
    for content, most in (
        (bomb(3001, 3000), "9 million"),
        (bomb(100_000, 100_000), "9 million"),
        (bomb(1, 9_000_001), "9 million"),
        (file(Image.new("L", (5001, 5000)), "JPEG"), "25 million"),
        (file(Image.new("CMYK", (3001, 3000)), "JPEG"), "9 million"),
    ):
        with pytest.raises(InvalidImage, match=most):
            encode(content)


WORST = {
    "a WebP to see through": ("RGBA", (3000, 3000), "WEBP", {"method": 0}),
    "a grey PNG to see through": ("LA", (3000, 3000), "PNG", {"compress_level": 1}),
    "a photograph in steps": ("RGB", (5760, 4320), "JPEG", {"progressive": True, "subsampling": 0}),
    "one that stands": ("RGB", (4320, 5760), "JPEG", {"progressive": True, "subsampling": 0}),
    "one for a printer": ("CMYK", (3000, 3000), "JPEG", {"progressive": True, "subsampling": 0}),
}
PEAK = """
import resource, sys
from belong_mail.newsletters.image_program import encode
encode(sys.stdin.buffer.read())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="NOT TESTED: memory; ru_maxrss is in KiB on Linux alone"
)
@pytest.mark.parametrize("worst", WORST)
def test_the_largest_picture_that_is_taken_needs_less_than_200_megabytes(worst):
    mode, size, kind, options = WORST[worst]
    content = file(Image.new(mode, size), kind, **options)
    # A program that Python starts counts its parent's peak; a shell between them does not.
    ran = subprocess.run(
        ["/bin/sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, PEAK],
        input=content,
        capture_output=True,
        cwd=ROOT,
        check=True,
    )
    assert int(ran.stdout) < 200_000
