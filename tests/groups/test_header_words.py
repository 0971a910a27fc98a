"""Words that no header of a group's email may say, however they are spelled."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from belong_mail.core import i18n
from belong_mail.groups.header_words import (
    IDENTIFYING,
    NAMES,
    _pattern,
    identifying_word,
    is_discreet,
    tells_by_address,
)
from belong_mail.groups.models import Group
from belong_mail.groups.seeds import GROUPS as SEEDED_GROUPS
from belong_mail.mail.message.plain_words import readings

GROUPS = {each["slug"]: Group(slug=each["slug"], name=each["name"]) for each in SEEDED_GROUPS}
DISCREET = ("lgbtq", "people-with-disabilities", "autoimmune")
LGBTQ, DISABLED, AUTOIMMUNE = (GROUPS[slug] for slug in DISCREET)
BLACK, VILLAGE, ASIAN = (
    GROUPS[slug] for slug in ("african-american-black", "the-village", "asian")
)
# Groups that the office has marked.
MUSLIM = Group(slug="g9", name="Muslim Educators", is_discreet=True)
IMMIGRANT = Group(slug="g8", name="Educadores inmigrantes", is_discreet=True)
MARKED_BLACK = Group(slug=BLACK.slug, name=BLACK.name, is_discreet=True)

SPELLINGS = [
    "LGBTQ+ tea", "our lgbtq+ group", "LGBTQIA+ picnic", "L.G.B.T.Q.", "L G B T Q", "L-G-B-T-Q tea",
    "L_G_B_T", "LG BTQ", "lg\u200bbtq", "l\u00adg\u2060b\ufefft\u180eq", "l\u115fgbt", "l\u034fgbt",
    "L\u0332G\u0332B\u0332T\u0332Q\u0332", "ＬＧＢＴＱ", "𝐋𝐆𝐁𝐓𝐐", "ⓁⒼⒷⓉⓆ",
    "=?utf-8?q?=4CGBTQ?=", "LGTBI", "GLBT",
    "gay", "the gays", "Pride potluck", "PRIDE!", "P R I D E", "t.r.a.n.s",
    "#PrideMonth2026", "LGBT†", "LGB social", "👭",
    "👨🏾\u200d❤️\u200d👨🏻", "👩\u200d❤\u200d💋\u200d👩",
    "👩\u200d👩\u200d👧", "Orgullosos", "Coming out stories", "Drag bingo",
    "Orgullo", "trans day", "TransRights", "tr\u200bans", "Tr\u200bansRights", "tr\u115fans",
    "tr-ans", "tr\u2009ans", "Queer tea",
    "personas no binarias", "Identidad de género", "Two-Spirit", "🏳️‍🌈 tea", "🏳️‍⚧️",
]  # fmt: skip
ORDINARY = [
    "Tea on Friday", "This month with us", "Transport on Monday", "We translate this",
    "Our newsletter: October", "Meet on 5/12 at 4:00", "¡Reunión! niños y niñas 🎉", "日本語",
    "¡Qué error!", "مرحبا بالعالم", "Welcome back, {first_name}", "Q&A in room B 4", "x" * 200,
    "Việt Nam đón Tết", "Łukasz y Zoë", "Hawaiʻi", "Zoom 会議", "Чай в пятницу", "שלום \u200fעולם",
    "ሰላም", "5€ lunch 🎉👨‍👩‍👧", "Tea ‘n’ cake – 2×2 m²", "1.ª reunión, 2.º piso",
]  # fmt: skip


@pytest.mark.parametrize("subject", SPELLINGS)
def test_a_discreet_groups_name_is_seen_however_it_is_written(subject):
    assert identifying_word(LGBTQ, subject)
    assert not identifying_word(VILLAGE, subject)


@pytest.fixture
def black_hawk():
    """A district whose name has a word that groups have too."""
    ours = i18n.names()
    named = replace(ours, district_name="Black Hawk School District", district_short="Black Hawk")
    i18n.use_names(named)
    yield
    i18n.use_names(ours)


@pytest.mark.usefixtures("black_hawk")
def test_only_the_whole_name_of_a_district_says_nothing_about_a_group():
    educators = Group(slug="educators", name="Black Hawk’s Black Educators")
    assert identifying_word(educators, "An evening of Black joy") == "black"
    assert identifying_word(educators, "Tea with Hawk") == ""


@pytest.mark.parametrize("filler", ["\u115f", "\u1160", "\u3164", "\uffa0"])
def test_a_filler_that_counts_as_a_letter_parts_no_word(filler):
    assert readings("lgbt") <= readings(f"l{filler}gbt")


@pytest.mark.parametrize(
    ("group", "subject"),
    [
        (DISABLED, "Disability news"), (DISABLED, "d i s a b i l i t y"), (DISABLED, "Dis-ability"),
        (DISABLED, "Discapacitados"), (DISABLED, "People with Disabilities"), (DISABLED, "♿"),
        (DISABLED, "Accesibilidad"), (DISABLED, "Wheelchairs"), (DISABLED, "ADHD tips"),
        (DISABLED, "🐕‍🦺"), (DISABLED, "♾️ day"), (DISABLED, "🧑🏽‍🦽"), (DISABLED, "Inválidos"),
        (DISABLED, "Lengua de señas"), (AUTOIMMUNE, "💉"),
        (AUTOIMMUNE, "autoimmune"), (AUTOIMMUNE, "Auto-immune day"), (AUTOIMMUNE, "Autoinmune"),
        (LGBTQ, "Out & proud"), (LGBTQ, "Gender-affirming care"), (LGBTQ, "TDOV"),
        (LGBTQ, "Lunch ❤️🧡💛💚💙💜"), (LGBTQ, "Afirmación de género"),
        (LGBTQ, "They/them day"), (LGBTQ, "Lambda Legal"), (LGBTQ, "Two moms"), (LGBTQ, "Elles"),
        (LGBTQ, "Mismo género"), (DISABLED, "IEP tips"), (DISABLED, "504 plans"),
        (DISABLED, "Educación especial"), (DISABLED, "Ansiedad"), (AUTOIMMUNE, "Glucosa"),
        (MUSLIM, "Eid lunch"), (MUSLIM, "Semana Santa"), (IMMIGRANT, "DACA"),
        (IMMIGRANT, "Conoce tus derechos"), (MARKED_BLACK, "Juneteenth"), (MARKED_BLACK, "Raza"),
        (DISABLED, "Hearing loss"), (DISABLED, "ASL class"), (DISABLED, "Pérdida auditiva"),
        (AUTOIMMUNE, "MS walk"), (AUTOIMMUNE, "Insulina"),
        (AUTOIMMUNE, "Lupus"), (AUTOIMMUNE, "Enfermedades crónicas"),
        (LGBTQ, "Bi visibility"), (LGBTQ, "Tea 💛🤍💜🖤"), (LGBTQ, "Tea 🧡🤍🩷"),
        (LGBTQ, "IDAHOBIT"), (DISABLED, "AuDHD"), (DISABLED, "Prótesis"), (AUTOIMMUNE, "IBD"),
        (AUTOIMMUNE, "Dolor articular"), (MUSLIM, "Tea ☪️"), (MUSLIM, "Jummah"),
        (MARKED_BLACK, "✊🏿"), (MARKED_BLACK, "MLK day"), (IMMIGRANT, "Papeles"),
    ],
)  # fmt: skip
def test_an_identifying_word_counts_in_both_languages(group, subject):
    assert identifying_word(group, subject)
    assert not identifying_word(VILLAGE, subject)


def test_none_of_200_ordinary_school_subjects_is_refused():
    lines = Path(__file__).with_name("ordinary_subjects.txt").read_text().splitlines()
    subjects = [each for line in lines for each in line.split("; ")]
    assert len(set(subjects)) == len(subjects) == 200
    groups = (*GROUPS.values(), MUSLIM, IMMIGRANT, MARKED_BLACK)
    told = {each: [identifying_word(group, each) for group in groups] for each in subjects}
    assert [each for each, words in told.items() if any(words)] == []


@pytest.mark.parametrize("slug", NAMES)
def test_a_groups_own_name_counts_as_identifying_and_ordinary_words_do_not(slug):
    group = GROUPS[slug]
    assert all(readings(word) for word in (*NAMES[slug], *IDENTIFYING.get(slug, ())))
    for subject in (f"News from {group.name}", group.name.upper(), slug, f"{group.name}!"):
        assert identifying_word(group, subject), subject
    for part in group.name.split("/"):
        assert identifying_word(group, f"{part} news")
    for subject in ORDINARY:
        assert identifying_word(group, subject) == "", subject


def test_words_that_tell_of_one_group_are_free_in_the_others():
    assert identifying_word(BLACK, "Black Friday") == "black"
    for slug, group in GROUPS.items():
        assert bool(identifying_word(group, "Black Friday")) == (slug == "african-american-black")
    assert identifying_word(BLACK, "Blackboard tips") == ""
    assert identifying_word(VILLAGE, "It takes a village") == ""
    assert identifying_word(DISABLED, "Fred is absent") == ""
    assert identifying_word(ASIAN, "Was I an early bird?") == ""


def test_an_added_group_is_named_by_each_word_of_its_name():
    muslims = Group(slug="muslim-staff", name="Muslim Educators")
    assert identifying_word(muslims, "For Muslimahs") == "muslim"
    assert identifying_word(muslims, "For all educators") == ""
    assert identifying_word(Group(slug="g9", name="Educación Física"), "educacion")
    assert not is_discreet(muslims), "the office marks a group by a topic that no group here has"
    assert identifying_word(muslims, "Eid lunch") == ""


def test_an_added_group_that_is_called_like_a_discreet_one_is_discreet():
    families = Group(slug="families", name="LGBTQ+ Families")
    assert is_discreet(families)
    assert identifying_word(families, "Pride potluck") == "pride"
    assert is_discreet(Group(slug="chronic-pain", name="Long days"))
    assert [slug for slug, group in GROUPS.items() if is_discreet(group)] == list(DISCREET)
    assert list(NAMES) == list(GROUPS)


@pytest.mark.parametrize(
    ("group", "address", "is_telling"),
    [
        (LGBTQ, "gay-leads@dpsk12.org", True),
        (LGBTQ, "lgbtqleads@dpsk12.org", True),
        (LGBTQ, "ourqueerstaff@dpsk12.org", True),
        (LGBTQ, "leads@pride.dpsk12.org", True),
        (DISABLED, "dpsdisability@dpsk12.org", True),
        (ASIAN, "asian-leads@dpsk12.org", False),
        (LGBTQ, "group6@dpsk12.org", False),
        (DISABLED, "leads@dpsk12.org", False),
        (VILLAGE, "village-leads@dpsk12.org", False),
    ],
)
def test_an_address_names_a_discreet_group_also_where_its_words_run_together(
    group, address, *, is_telling
):
    assert tells_by_address(group, address) is is_telling


@pytest.mark.parametrize(
    "word", ["o" + " *" * 20 + " zq", "e* " * 19 + "zq", "e*" * 30, "e** & * e*", "e * f*", "e*-*f"]
)
def test_the_wildcards_of_a_word_share_no_letters_however_many_there_are(word):
    """Else a subject could be divided among them in more ways than the worker can ever try."""
    _, *behind = _pattern(word).split("[a-z0-9]*")
    assert all(re.match(r" [a-z0-9]", each) for each in behind[:-1])
    assert not behind or re.match(r" [a-z0-9]|$", behind[-1])


def test_stars_count_at_the_end_of_each_word_and_of_200_words_of_60_letters():
    group = Group(slug="g9", name="G9", identifying_words={"en": "sea* of * star*\nmo * on"})
    for subject in ("Seas of starlight", "sea of stars", "Mo on", "A moon"):
        assert identifying_word(group, subject), subject
    for subject in ("Seas of sand", "Moreover on", "Tea"):
        assert not identifying_word(group, subject), subject
    words = [f"w{number}" for number in range(200 + 1)]
    group.identifying_words = {"en": "\n".join(words), "xx": "tea", "es": "z" * 61}
    found = (words[-2], words[-1], "tea", "z" * 60)
    assert [bool(identifying_word(group, each)) for each in found] == [True, False, False, True]


def test_a_name_that_no_form_would_take_counts_by_its_first_60_letters():
    """A megabyte of words in one would keep the worker for minutes."""
    group = Group(
        slug=f"{'s' * 60} so", name=f"{'n' * 60} no", known_names=[f"{'k' * 60} so", "yes"]
    )
    found = ("s" * 60, "n" * 60, "k" * 60, "yes", "no so")
    assert [bool(identifying_word(group, each)) for each in found] == [True] * 4 + [False]


def test_an_overlong_subject_counts_as_identifying_and_is_compared_with_no_word():
    """The web may write a subject of a megabyte, which each of 200 words would search for hours."""
    group = Group(slug="x", name="X", identifying_words={"en": "\n".join(["a " * 29 + "b"] * 200)})
    assert identifying_word(group, "a " * 500_000) == ("a " * 30)
    assert identifying_word(group, "c " * 499) == ""
