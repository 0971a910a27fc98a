"""What DPS's groups say of themselves in a new database; leads replace the words later.

The facts are those of the district's page. Of a group that it only names, nothing is said here.
"""

from dataclasses import dataclass, field

from belong_mail.core.i18n import LocalizedText


@dataclass(frozen=True, slots=True)
class Mission:
    """A group's mission, what it does, and whom the office says that it welcomes."""

    mission: LocalizedText = field(default_factory=dict)
    activities: LocalizedText = field(default_factory=dict)
    audience: LocalizedText = field(default_factory=dict)


NO_MISSION = Mission()


MISSIONS = {
    "african-american-black": Mission(
        mission={
            "en": (
                "We’re writing our charter right now. It will guide our goals and the culture of"
                " our group.\n\n"
                "Staff are invited to help write it: join us and take part."
            ),
            "es": (
                "En este momento estamos escribiendo nuestros estatutos, que guiarán nuestras metas"
                " y la cultura de nuestro grupo.\n\n"
                "Invitamos al personal a ayudar a escribirlos: únete y participa."
            ),
        },
        activities={
            "en": (
                "Write our charter together\nAgree on our goals\nShape the culture of our group"
            ),
            "es": (
                "Escribir nuestros estatutos en conjunto\n"
                "Acordar nuestras metas\n"
                "Dar forma a la cultura de nuestro grupo"
            ),
        },
    ),
    "asian": Mission(
        mission={
            "en": (
                "We want DPS to be a better place for students, where each of them finds a voice of"
                " their own, and a more inclusive one for families.\n\n"
                "Our community is larger than our schools. Many parents are business owners, so we"
                " also go out and meet where the community is."
            ),
            "es": (
                "Queremos que DPS sea un mejor lugar para cada estudiante, donde encuentre su"
                " propia voz, y un lugar más incluyente para las familias.\n\n"
                "Nuestra comunidad es más grande que nuestras escuelas. Muchas madres y muchos"
                " padres tienen su propio negocio, así que también nos reunimos donde está la"
                " comunidad."
            ),
        },
        activities={
            "en": (
                "Help students find their own voice\n"
                "Ask principals to help identify the Asian teachers and leaders in their buildings,"
                " so that a community can form\n"
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
    ),
    "citizens-of-the-world": Mission(
        mission={
            "en": (
                "This group is for people who come from multilingual, multiracial or multicultural"
                " backgrounds, and for people who want to meet them.\n\n"
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
        activities={
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
    ),
    "deconstructing-privilege": Mission(
        mission={
            "en": (
                "White privilege that goes unrecognized and unexamined is still a major obstacle"
                " to social justice. This group gives staff room to understand"
                " whiteness, privilege, racism and oppression more deeply, and to act on what they"
                " learn, with sensitivity and understanding.\n\n"
                "It’s aimed at people who identify as white. All staff are welcome, so that we talk"
                " together about what a white “ally” really is, in action."
            ),
            "es": (
                "El privilegio blanco que no se reconoce ni se examina sigue siendo un gran"
                " obstáculo para la justicia social. Este grupo le da al personal un espacio para"
                " comprender mejor la blanquitud, el privilegio, el racismo y la opresión, y para"
                " actuar a partir de lo aprendido, con sensibilidad y comprensión.\n\n"
                "Está dirigido a quienes se identifican como personas blancas. Todo el personal"
                " puede participar, para conversar sobre lo que en verdad significa ser una persona"
                " blanca “aliada” en la práctica."
            ),
        },
        activities={
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
        audience={
            "en": "All staff are welcome",
            "es": "Todo el personal puede participar",
        },
    ),
    "latinx-hispanic": Mission(
        mission={
            "en": (
                "We’re learners and advocates, influencers and supporters. We want to inspire each"
                " other, our colleagues in DPS and our students, and to make DPS more inclusive."
            ),
            "es": (
                "Aprendemos, abogamos, influimos y apoyamos. Queremos inspirarnos e inspirar a"
                " nuestro equipo de DPS y a nuestro estudiantado, y hacer de DPS un lugar más"
                " incluyente."
            ),
        },
        activities={
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
    ),
    "lgbtq": Mission(
        mission={
            "en": (
                "We find out what LGBTQIA+ staff and students need, and work for DPS policies that"
                " support them. Our events bring together the LGBTQIA+ community and the larger DPS"
                " community, so that all voices help to support the whole person.\n\n"
                "You can see our meeting dates anonymously. The calendar asks for no name and no"
                " sign-in, and keeps no record of who looked."
            ),
            "es": (
                "Identificamos lo que necesitan el personal y el estudiantado LGBTQIA+, y abogamos"
                " por políticas de DPS que les apoyen. Nuestros eventos reúnen a la comunidad"
                " LGBTQIA+ y a toda la comunidad de DPS, para que todas las voces ayuden a apoyar"
                " a la persona completa.\n\n"
                "Puedes ver las fechas de nuestras reuniones de forma anónima. El calendario no"
                " pide nombre ni iniciar sesión, y no guarda registro de quién lo vio."
            ),
        },
        activities={
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
    ),
    "the-village": Mission(
        mission={
            "en": (
                "The Village is a family for those who act, day after day, in the lives of today’s"
                " African-American/Black students in DPS. We work for a safe space in which our"
                " students can succeed.\n\n"
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
        activities={
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
    ),
    "women-of-color": Mission(
        mission={
            "en": (
                "We’re committed to the empowerment and development of our members, to"
                " collaboration and to comradery, in a network of professional women who support"
                " each other: a sisterhood."
            ),
            "es": (
                "Nos comprometemos con el empoderamiento y el desarrollo de nuestras integrantes,"
                " con la colaboración y el compañerismo, en una red de mujeres profesionales que se"
                " apoyan: una sororidad."
            ),
        },
        activities={
            "en": (
                "Build ingrained support for educators, with a protocol so that employees of color"
                " learn about the Belong groups when they’re hired\n"
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
                "Trabajar por el avance, la permanencia y el desarrollo de las mujeres de color en"
                " cada departamento, con capacitación, cursos de habilidades, mentoría y"
                " actividades\n"
                "Crear comunidades solidarias por mensajes de texto, correo electrónico, encuentros"
                " y eventos, y con programas para jóvenes: caminos hacia la docencia, ferias de"
                " carreras y un equipo de conferencistas\n"
                "Trabajar con organizaciones aliadas que apoyan nuestras metas\n"
                "Disfrutar de salidas sociales y actividades de bienestar, para la sororidad y el"
                " cuidado personal"
            ),
        },
    ),
}
