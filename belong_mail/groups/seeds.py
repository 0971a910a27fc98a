"""The district's groups as a new database begins with them; leads replace the words later."""

from typing import Any

from belong_mail.groups.models import Words

ESTABLISHED: tuple[tuple[str, str, Words, Words], ...] = (
    (
        "african-american-black",
        "African American/Black",
        {
            "en": "Black colleagues from every school and office, looking out for each other.",
            "es": "Colegas de la comunidad negra, de todo el distrito, que se cuidan entre sí.",
        },
        {"en": "Writing our charter now", "es": "Estamos escribiendo nuestros estatutos"},
    ),
    (
        "asian",
        "Asian",
        {
            "en": "Asian educators and staff finding each other, and helping students speak up.",
            "es": "Docentes y personal de raíces asiáticas se encuentran y dan voz al alumnado.",
        },
        {},
    ),
    (
        "citizens-of-the-world",
        "Citizens of the World",
        {
            "en": "Many languages, many roots: for everyone who never fit a single box.",
            "es": "Muchos idiomas, muchas raíces: para quien nunca ha cabido en una sola casilla.",
        },
        {},
    ),
    (
        "deconstructing-privilege",
        "Deconstructing Privilege",
        {
            "en": "Learning what whiteness does in schools, then acting on it. All are welcome.",
            "es": "Aprender qué hace la blanquitud en las escuelas, y actuar. Hay lugar para ti.",
        },
        {},
    ),
    (
        "latinx-hispanic",
        "Latinx/Hispanic",
        {
            "en": "Listening, teaching our history and backing families and schools. ¡Bienvenidos!",
            "es": "Escuchamos, enseñamos nuestra historia y apoyamos a familias y escuelas. ¡Ven!",
        },
        {},
    ),
    (
        "lgbtq",
        "LGBTQ+",
        {
            "en": "Company, events and better policy for LGBTQIA+ staff and students.",
            "es": "Compañía, eventos y mejores políticas para personal y estudiantes LGBTQIA+.",
        },
        {},
    ),
    (
        "the-village",
        "The Village",
        {
            "en": "For all who stand behind Black students every day: share, learn, lean on us.",
            "es": "Para quienes acompañan cada día al alumnado negro: comparte, aprende, apóyate.",
        },
        {},
    ),
    (
        "women-of-color",
        "Women of Color",
        {
            "en": "Sisterhood and mentoring for women of color, from the first day on the job.",
            "es": "Hermandad y mentoría para mujeres de color, desde el primer día de trabajo.",
        },
        {},
    ),
)

UPCOMING: tuple[tuple[str, str, Words], ...] = (
    (
        "people-with-disabilities",
        "People with Disabilities",
        {
            "en": "Access, plain talk and colleagues who get it.",
            "es": "Accesibilidad, palabras claras y colegas que lo entienden.",
        },
    ),
    (
        "autoimmune",
        "Autoimmune",
        {
            "en": "Good days and hard days, shared with people who know both.",
            "es": "Días buenos y días difíciles, con gente que conoce ambos.",
        },
    ),
)

HELP: tuple[str, Words, list[Any]] = (
    "choices",
    {"en": "Would you like to help with something?", "es": "¿Te gustaría ayudar con algo?"},
    [
        {"en": "Welcoming new colleagues", "es": "Recibir a quienes acaban de llegar"},
        {"en": "Planning events", "es": "Organizar eventos"},
        {"en": "Writing the newsletter", "es": "Escribir el boletín"},
    ],
)

QUESTIONS: dict[str, tuple[tuple[str, Words, list[Any]], ...]] = {
    "african-american-black": (HELP,),
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
    "citizens-of-the-world": (HELP,),
    "latinx-hispanic": (HELP,),
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
        HELP,
    ),
    "women-of-color": (
        HELP,
        (
            "consent",
            {
                "en": "The leads may write to me about mentoring.",
                "es": "Quienes lideran el grupo pueden escribirme sobre mentoría.",
            },
            [],
        ),
    ),
}
