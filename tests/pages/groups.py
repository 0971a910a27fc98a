"""The groups that the directory lists."""

ESTABLISHED = {
    "african-american-black": "African American/Black",
    "asian": "Asian",
    "citizens-of-the-world": "Citizens of the World",
    "deconstructing-privilege": "Deconstructing Privilege",
    "latinx-hispanic": "Latinx/Hispanic",
    "lgbtq": "LGBTQ+",
    "the-village": "The Village",
    "women-of-color": "Women of Color",
}
UPCOMING = {"people-with-disabilities": "People with Disabilities", "autoimmune": "Autoimmune"}
