"""DPS's groups, as `db upgrade --seed dps` writes them; leads replace the words later."""

from typing import Any

from belong_mail.core.i18n import LocalizedText

ESTABLISHED: tuple[tuple[str, str, LocalizedText, LocalizedText], ...] = (
    (
        "african-american-black",
        "African American/Black",
        {
            "en": "Help shape the goals and the culture of our group.",
            "es": "Ayuda a dar forma a las metas y a la cultura de nuestro grupo.",
        },
        {"en": "Writing our charter now", "es": "Estamos escribiendo nuestros estatutos"},
    ),
    (
        "asian",
        "Asian",
        {
            "en": "Student voices, and community with Asian staff, families and businesses.",
            "es": (
                "La voz de cada estudiante, y comunidad con personal, familias y negocios"
                " asiáticos."
            ),
        },
        {},
    ),
    (
        "citizens-of-the-world",
        "Citizens of the World",
        {
            "en": (
                "Multilingual, multiracial or multicultural? Meet others who don’t fit in one box."
            ),
            "es": (
                "¿Multilingüe, multirracial, multicultural? Conoce a más gente que no cabe en"
                " una casilla."
            ),
        },
        {},
    ),
    (
        "deconstructing-privilege",
        "Deconstructing Privilege",
        {
            "en": (
                "Staff who identify as white examine privilege and confront racism. All staff"
                " are welcome."
            ),
            "es": (
                "Examinar el privilegio blanco y enfrentar el racismo. Todo el personal puede"
                " participar."
            ),
        },
        {},
    ),
    (
        "latinx-hispanic",
        "Latinx/Hispanic",
        {
            "en": "Learners and advocates for our students, our schools and our roots.",
            "es": (
                "Aprendemos y abogamos por nuestro estudiantado, nuestras escuelas y nuestras"
                " raíces."
            ),
        },
        {},
    ),
    (
        "lgbtq",
        "LGBTQ+",
        {
            "en": (
                "For the needs of LGBTQIA+ staff and students: better policies, and events for"
                " everyone."
            ),
            "es": (
                "Por las necesidades del personal y del estudiantado LGBTQIA+: mejores"
                " políticas y eventos."
            ),
        },
        {},
    ),
    (
        "the-village",
        "The Village",
        {
            "en": "For those who act in the lives of today’s African-American/Black students.",
            "es": (
                "Para quienes actúan en la vida de estudiantes de la comunidad afroamericana y"
                " negra."
            ),
        },
        {},
    ),
    (
        "women-of-color",
        "Women of Color",
        {
            "en": "Development, empowerment and sisterhood for women of color across DPS.",
            "es": "Desarrollo, empoderamiento y sororidad para mujeres de color en todo DPS.",
        },
        {},
    ),
)


# What they are for is not said yet: nobody but their members can say it.
UPCOMING: tuple[tuple[str, str, LocalizedText], ...] = (
    ("people-with-disabilities", "People with Disabilities", {}),
    ("autoimmune", "Autoimmune", {}),
)


# What members may offer to help with.
WELCOMING: LocalizedText = {
    "en": "Welcoming new colleagues",
    "es": "Recibir al personal nuevo",
}
EVENTS: LocalizedText = {"en": "Planning events", "es": "Organizar eventos"}
NEWSLETTER: LocalizedText = {"en": "Writing the newsletter", "es": "Escribir el boletín"}
CHARTER: LocalizedText = {
    "en": "Helping write the charter",
    "es": "Ayudar a escribir los estatutos",
}
MENTORING: LocalizedText = {"en": "Mentoring", "es": "Mentoría"}


INTERESTS: dict[str, tuple[LocalizedText, ...]] = {
    "african-american-black": (CHARTER, WELCOMING, EVENTS, NEWSLETTER),
    "citizens-of-the-world": (WELCOMING, EVENTS, NEWSLETTER),
    "latinx-hispanic": (WELCOMING, EVENTS, NEWSLETTER),
    "the-village": (WELCOMING, EVENTS, NEWSLETTER),
    "women-of-color": (MENTORING, WELCOMING, EVENTS, NEWSLETTER),
}


QUESTIONS: dict[str, tuple[tuple[str, LocalizedText, list[Any]], ...]] = {
    "asian": (
        (
            "text",
            {
                "en": "What would make your school better for families?",
                "es": "¿Qué haría que tu escuela fuera mejor para las familias?",
            },
            [],
        ),
    ),
    "the-village": (
        (
            "choice",
            {"en": "Where do you work with students?", "es": "¿Dónde trabajas con estudiantes?"},
            [
                {"en": "Elementary school", "es": "Escuela primaria"},
                {"en": "Middle or high school", "es": "Escuela intermedia o preparatoria"},
                {"en": "Somewhere else", "es": "En otro lugar"},
            ],
        ),
    ),
}
