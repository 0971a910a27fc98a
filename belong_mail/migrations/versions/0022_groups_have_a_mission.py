"""Groups have a mission, a list of what they do, and a line that says whom they welcome.

Words that a version before put into a new database become those of this one; what leads have
written stays. The data is this step's own: the words of later versions may differ.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
loses = "Missions, what groups do, and whom they welcome."

COLUMNS = ("mission", "activities", "audience")

# What leads have not written: the summaries of the versions before.
OLD_SUMMARIES = {
    "african-american-black": (
        "Black colleagues from every school and office, looking out for each other.",
        "Colegas negros de cada escuela y oficina que se cuidan entre sí.",
        "Colegas de la comunidad negra, de todo el distrito, que se cuidan entre sí.",
    ),
    "asian": (
        "Asian educators and staff finding each other, and helping students speak up.",
        "Personal asiático que se encuentra y ayuda a que cada estudiante alce la voz.",
        "Docentes y personal de raíces asiáticas se encuentran y dan voz al alumnado.",
    ),
    "citizens-of-the-world": (
        "Many languages, many roots: for everyone who never fit a single box.",
        "Muchos idiomas, muchas raíces: para quien nunca cupo en una sola casilla.",
        "Muchos idiomas, muchas raíces: para quien nunca ha cabido en una sola casilla.",
    ),
    "deconstructing-privilege": (
        "Learning what whiteness does in schools, then acting on it. All are welcome.",
        "Aprendemos qué hace la blanquitud en las escuelas, y actuamos. Todos caben.",
        "Aprender qué hace la blanquitud en las escuelas, y actuar. Hay lugar para ti.",
    ),
    "latinx-hispanic": (
        "Listening, teaching our history and backing families and schools. ¡Bienvenidos!",
        "Escuchamos, enseñamos nuestra historia y apoyamos a familias y escuelas.",
        "Escuchamos, enseñamos nuestra historia y apoyamos a familias y escuelas. ¡Ven!",
    ),
    "lgbtq": (
        "Company, events and better policy for LGBTQIA+ staff and students.",
        "Compañía, eventos y mejores políticas para personal y estudiantes LGBTQIA+.",
    ),
    "the-village": (
        "For all who stand behind Black students every day: share, learn, lean on us.",
        "Para quienes apoyan cada día a estudiantes negros: comparte, aprende, respira.",
        "Para quienes acompañan cada día al alumnado negro: comparte, aprende, apóyate.",
    ),
    "women-of-color": (
        "Sisterhood and mentoring for women of color, from the first day on the job.",
        "Hermandad y mentoría para mujeres de color, desde el primer día de trabajo.",
    ),
    "people-with-disabilities": (
        "Access, plain talk and colleagues who get it.",
        "Accesibilidad, palabras claras y colegas que lo entienden.",
    ),
    "autoimmune": (
        "Good days and hard days, shared with people who know both.",
        "Días buenos y días difíciles, con gente que conoce ambos.",
    ),
}
# What a new database has of each group.
WORDS: dict[str, dict[str, dict[str, str]]] = {
    "african-american-black": {
        "summary": {
            "en": "Help shape the goals and the culture of our group.",
            "es": "Ayuda a dar forma a las metas y a la cultura de nuestro grupo.",
        },
        "mission": {
            "en": (
                "We’re writing our charter right now. It will guide our goals and the culture of"
                " our group.\n\n"
                "Staff are invited to help write it: join us and take part."
            ),
            "es": (
                "En este momento estamos escribiendo nuestros estatutos, que guiarán nuestras"
                " metas y la cultura de nuestro grupo.\n\n"
                "Invitamos al personal a ayudar a escribirlos: únete y participa."
            ),
        },
        "activities": {
            "en": (
                "Write our charter together\nAgree on our goals\nShape the culture of our group"
            ),
            "es": (
                "Escribir nuestros estatutos en conjunto\n"
                "Acordar nuestras metas\n"
                "Dar forma a la cultura de nuestro grupo"
            ),
        },
    },
    "asian": {
        "summary": {
            "en": "Student voices, and community with Asian staff, families and businesses.",
            "es": (
                "La voz de cada estudiante, y comunidad con personal, familias y negocios"
                " asiáticos."
            ),
        },
        "mission": {
            "en": (
                "We want DPS to be a better place for students, where each of them finds a voice"
                " of their own, and a more inclusive one for families.\n\n"
                "Our community is larger than our schools. Many parents are business owners, so"
                " we also go out and meet where the community is."
            ),
            "es": (
                "Queremos que DPS sea un mejor lugar para cada estudiante, donde encuentre su"
                " propia voz, y un lugar más incluyente para las familias.\n\n"
                "Nuestra comunidad es más grande que nuestras escuelas. Muchas madres y muchos"
                " padres tienen su propio negocio, así que también nos reunimos donde está la"
                " comunidad."
            ),
        },
        "activities": {
            "en": (
                "Help students find their own voice\n"
                "Ask principals to help identify the Asian teachers and leaders in their"
                " buildings, so that a community can form\n"
                "Bring translators to events\n"
                "Hold meetings in the community, at Asian businesses\n"
                "Get to know parents as business owners"
            ),
            "es": (
                "Ayudar a que cada estudiante encuentre su propia voz\n"
                "Pedir a las directoras y los directores que ayuden a identificar a docentes y"
                " líderes de origen asiático en sus escuelas, para formar una comunidad\n"
                "Llevar intérpretes y traductores a los eventos\n"
                "Reunirnos en la comunidad, en negocios asiáticos\n"
                "Conocer a madres y padres que tienen un negocio"
            ),
        },
    },
    "citizens-of-the-world": {
        "summary": {
            "en": (
                "Multilingual, multiracial or multicultural? Meet others who don’t fit in one box."
            ),
            "es": (
                "¿Multilingüe, multirracial, multicultural? Conoce a más gente que no cabe en una"
                " casilla."
            ),
        },
        "mission": {
            "en": (
                "This group is for people who come from multilingual, multiracial or"
                " multicultural backgrounds, and for people who want to meet them.\n\n"
                "Don’t you fit in one box? We want to meet you and hear what you’ve experienced."
                " Together we work for change from within DPS."
            ),
            "es": (
                "Este grupo es para personas de orígenes multilingües, multirraciales o"
                " multiculturales, y para quienes quieren conocerlas.\n\n"
                "¿No cabes en una sola casilla? Queremos conocerte y escuchar lo que has vivido."
                " En conjunto buscamos el cambio desde dentro de DPS."
            ),
        },
        "activities": {
            "en": (
                "Have lively discussions\n"
                "Go to local events\n"
                "Invite guest speakers\n"
                "Work for change from within DPS"
            ),
            "es": (
                "Tener conversaciones animadas\n"
                "Ir a eventos locales\n"
                "Invitar a conferencistas\n"
                "Impulsar el cambio desde dentro de DPS"
            ),
        },
    },
    "deconstructing-privilege": {
        "summary": {
            "en": (
                "Staff who identify as white examine privilege and confront racism. All staff are"
                " welcome."
            ),
            "es": (
                "Examinar el privilegio blanco y enfrentar el racismo. Todo el personal puede"
                " participar."
            ),
        },
        "mission": {
            "en": (
                "White privilege that goes unrecognized and unexamined is still a major obstacle"
                " to social justice. This group gives staff room to understand whiteness,"
                " privilege, racism and oppression more deeply, and to act on what they learn,"
                " with sensitivity and understanding.\n\n"
                "It’s aimed at people who identify as white. All staff are welcome, so that we"
                " talk together about what a white “ally” really is, in action."
            ),
            "es": (
                "El privilegio blanco que no se reconoce ni se examina sigue siendo un gran"
                " obstáculo para la justicia social. Este grupo le da al personal un espacio para"
                " comprender mejor la blanquitud, el privilegio, el racismo y la opresión, y para"
                " actuar a partir de lo aprendido, con sensibilidad y comprensión.\n\n"
                "Está dirigido a quienes se identifican como personas blancas. Todo el personal"
                " puede participar, para conversar sobre lo que en verdad significa ser una"
                " persona blanca “aliada” en la práctica."
            ),
        },
        "activities": {
            "en": (
                "Understand whiteness, privilege, racism and oppression\n"
                "Look inward: how we experience privilege and contribute to oppressive systems\n"
                "Look outward: the history of racism, and what it still does in society\n"
                "Act against racist and oppressive systems in DPS"
            ),
            "es": (
                "Comprender la blanquitud, el privilegio, el racismo y la opresión\n"
                "Mirar hacia dentro: cómo vivimos el privilegio y contribuimos a sistemas"
                " opresivos\n"
                "Mirar hacia fuera: la historia del racismo y lo que aún causa en la sociedad\n"
                "Actuar contra los sistemas racistas y opresivos en DPS"
            ),
        },
        "audience": {
            "en": "All staff are welcome",
            "es": "Todo el personal puede participar",
        },
    },
    "latinx-hispanic": {
        "summary": {
            "en": "Learners and advocates for our students, our schools and our roots.",
            "es": (
                "Aprendemos y abogamos por nuestro estudiantado, nuestras escuelas y nuestras"
                " raíces."
            ),
        },
        "mission": {
            "en": (
                "We’re learners and advocates, influencers and supporters. We want to inspire"
                " each other, our colleagues in DPS and our students, and to make DPS more"
                " inclusive."
            ),
            "es": (
                "Aprendemos, abogamos, influimos y apoyamos. Queremos inspirarnos e inspirar a"
                " nuestro equipo de DPS y a nuestro estudiantado, y hacer de DPS un lugar más"
                " incluyente."
            ),
        },
        "activities": {
            "en": (
                "Listen, to find out what our community wants\n"
                "Advocate for our students, and for low-income schools with few resources\n"
                "Help students understand their roots and their history\n"
                "Offer resources to teachers\n"
                "Go to community events, and hold small ones of our own\n"
                "Partner with the district’s Latino parent group\n"
                "Bring our stories and our experiences"
            ),
            "es": (
                "Escuchar para saber qué quiere nuestra comunidad\n"
                "Abogar por nuestro estudiantado y por las escuelas de bajos ingresos con pocos"
                " recursos\n"
                "Ayudar a cada estudiante a comprender sus raíces y su historia\n"
                "Ofrecer recursos a docentes\n"
                "Ir a eventos de la comunidad y organizar algunos pequeños\n"
                "Colaborar con el grupo de madres y padres latinos del distrito\n"
                "Aportar nuestras historias y experiencias"
            ),
        },
    },
    "lgbtq": {
        "summary": {
            "en": (
                "For the needs of LGBTQIA+ staff and students: better policies, and events for"
                " everyone."
            ),
            "es": (
                "Por las necesidades del personal y del estudiantado LGBTQIA+: mejores políticas"
                " y eventos."
            ),
        },
        "mission": {
            "en": (
                "We find out what LGBTQIA+ staff and students need, and work for DPS policies"
                " that support them. Our events bring together the LGBTQIA+ community and the"
                " larger DPS community, so that all voices help to support the whole person.\n\n"
                "You can see our meeting dates anonymously. The calendar asks for no name and no"
                " sign-in, and keeps no record of who looked."
            ),
            "es": (
                "Identificamos lo que necesitan el personal y el estudiantado LGBTQIA+, y"
                " abogamos por políticas de DPS que les apoyen. Nuestros eventos reúnen a la"
                " comunidad LGBTQIA+ y a toda la comunidad de DPS, para que todas las voces ayuden"
                " a apoyar a la persona completa.\n\n"
                "Puedes ver las fechas de nuestras reuniones de forma anónima. El calendario no"
                " pide nombre ni iniciar sesión, y no guarda registro de quién lo vio."
            ),
        },
        "activities": {
            "en": (
                "Identify the needs of LGBTQIA+ staff and students\n"
                "Advocate for changes in DPS policy\n"
                "Hold events for the LGBTQIA+ community and the larger DPS community"
            ),
            "es": (
                "Identificar las necesidades del personal y del estudiantado LGBTQIA+\n"
                "Abogar por cambios en las políticas de DPS\n"
                "Organizar eventos para la comunidad LGBTQIA+ y para toda la comunidad de DPS"
            ),
        },
    },
    "the-village": {
        "summary": {
            "en": "For those who act in the lives of today’s African-American/Black students.",
            "es": (
                "Para quienes actúan en la vida de estudiantes de la comunidad afroamericana y"
                " negra."
            ),
        },
        "mission": {
            "en": (
                "The Village is a family for those who act, day after day, in the lives of"
                " today’s African-American/Black students in DPS. We work for a safe space in"
                " which our students can succeed.\n\n"
                "To do that, we connect, support and empower each other. We learn together, and"
                " pass on what we learn."
            ),
            "es": (
                "The Village es una familia para quienes actúan, día tras día, en la vida de"
                " estudiantes de la comunidad afroamericana y negra de DPS. Trabajamos por un"
                " espacio seguro donde cada estudiante pueda tener éxito.\n\n"
                "Para lograrlo creamos lazos, nos apoyamos y nos damos fuerza. Aprendemos en"
                " conjunto y transmitimos lo que aprendemos."
            ),
        },
        "activities": {
            "en": (
                "Keep a safe space for our students\n"
                "Share knowledge, skills and abilities with each other\n"
                "Pass on what we learn\n"
                "Be there for each other with emotional support"
            ),
            "es": (
                "Cuidar un espacio seguro para nuestras y nuestros estudiantes\n"
                "Compartir conocimientos, habilidades y capacidades\n"
                "Transmitir lo que aprendemos\n"
                "Darnos apoyo emocional"
            ),
        },
    },
    "women-of-color": {
        "summary": {
            "en": "Development, empowerment and sisterhood for women of color across DPS.",
            "es": "Desarrollo, empoderamiento y sororidad para mujeres de color en todo DPS.",
        },
        "mission": {
            "en": (
                "We’re committed to the empowerment and development of our members, to"
                " collaboration and to comradery, in a network of professional women who support"
                " each other: a sisterhood."
            ),
            "es": (
                "Nos comprometemos con el empoderamiento y el desarrollo de nuestras integrantes,"
                " con la colaboración y el compañerismo, en una red de mujeres profesionales que"
                " se apoyan: una sororidad."
            ),
        },
        "activities": {
            "en": (
                "Build ingrained support for educators, with a protocol so that employees of"
                " color learn about the Belong groups when they’re hired\n"
                "Work for the advancement, retention and development of women of color in every"
                " department, with training, skills courses, mentorship and activities\n"
                "Create communities that care, by text, email, meetups and events, and with"
                " programs for youth: pathways to teaching, career fairs and a speakers’ bureau\n"
                "Work with partners who support our goals\n"
                "Enjoy social outings and wellness activities, for sisterhood and self-care"
            ),
            "es": (
                "Lograr que el apoyo al personal educativo sea permanente, con un protocolo para"
                " que las personas de color conozcan los grupos Belong cuando se les contrata\n"
                "Trabajar por el avance, la permanencia y el desarrollo de las mujeres de color"
                " en cada departamento, con capacitación, cursos de habilidades, mentoría y"
                " actividades\n"
                "Crear comunidades solidarias por mensajes de texto, correo electrónico,"
                " encuentros y eventos, y con programas para jóvenes: caminos hacia la docencia,"
                " ferias de carreras y un equipo de conferencistas\n"
                "Trabajar con organizaciones aliadas que apoyan nuestras metas\n"
                "Disfrutar de salidas sociales y actividades de bienestar, para la sororidad y el"
                " cuidado personal"
            ),
        },
    },
    "people-with-disabilities": {
        "summary": {},
    },
    "autoimmune": {
        "summary": {},
    },
}


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("groups", sa.Column(name, sa.JSON(), nullable=False, server_default="{}"))
    groups, connection = _groups("slug", "summary", *COLUMNS), op.get_bind()
    for group in connection.execute(sa.select(groups)).mappings().all():
        words = _new_words(group["slug"], group["summary"])
        if words:
            own = groups.c.id == group["id"]
            connection.execute(groups.update().where(own).values(words))


def downgrade() -> None:
    """Missions, lists and whom groups welcome are lost; summaries stay."""
    groups, connection = _groups("before"), op.get_bind()
    for group in connection.execute(sa.select(groups)).mappings().all():
        if isinstance(group["before"], dict):
            known = {name: words for name, words in group["before"].items() if name not in COLUMNS}
            own = groups.c.id == group["id"]
            connection.execute(groups.update().where(own).values(before=known))
    for name in COLUMNS:
        op.drop_column("groups", name)


def _new_words(slug: str, summary: Any) -> dict[str, dict[str, str]]:
    """Return what to write of a group; whom it welcomes is no word of its leads."""
    words = WORDS.get(slug, {})
    seeded = {*OLD_SUMMARIES.get(slug, ()), *words.get("summary", {}).values()}
    if isinstance(summary, dict) and all(text in seeded for text in summary.values()):
        return words
    return {name: text for name, text in words.items() if name == "audience"}


def _groups(*names: str) -> sa.TableClause:
    columns = (
        sa.column(name, sa.String() if name == "slug" else sa.JSON(none_as_null=True))
        for name in names
    )
    return sa.table("groups", sa.column("id", sa.Integer()), *columns)
