//! Recipes that exist for tests alone.

use chumwire::objects::{Kind, Recipe, Recipes, Rule};

/// The known recipes and those of the recordings and of spec 12's format cases.
pub(crate) fn recipes() -> Recipes {
    let mut recipes = Recipes::known();
    let (text, integer) = (|| Kind::TEXT, || Kind::Integer);
    let more = [
        Recipe::new(
            "PeerFiles",
            [
                Rule::new("title", text()),
                Rule::new("blob", Kind::BLOB).optional(),
                Rule::new("clob", Kind::CLOB).optional(),
            ],
        ),
        Recipe::new(
            "PeerNote",
            [Rule::new("noteId", text()).id(), Rule::new("text", text())],
        ),
        Recipe::new(
            "T1",
            [
                Rule::new("s", text()),
                Rule::new("i", integer()),
                Rule::new("n", Kind::Number),
                Rule::new("b", Kind::Boolean),
                Rule::new("j", Kind::Stringifiable),
            ],
        ),
        Recipe::new(
            "T3",
            [
                Rule::new("a", text().array()),
                Rule::new("g", integer().bag()),
                Rule::new("s", text().set()),
                Rule::new("m", text().map_to(integer())),
            ],
        ),
        Recipe::new(
            "T4",
            [
                Rule::new(
                    "o",
                    Kind::Object(vec![
                        Rule::new("x", text()),
                        Rule::new("y", text()).optional(),
                    ]),
                ),
                Rule::new(
                    "l",
                    Kind::Object(vec![
                        Rule::new("x", text()),
                        Rule::new("z", Kind::Boolean).optional(),
                    ])
                    .array(),
                ),
                Rule::new("aa", text().array().array()),
                Rule::new("ms", text().map_to(text().set())),
            ],
        ),
        Recipe::new(
            "T5",
            [
                Rule::new("j", Kind::Stringifiable).optional(),
                Rule::new(
                    "o",
                    Kind::Object(vec![
                        Rule::new("due", Kind::Stringifiable),
                        Rule::new("opt", Kind::Stringifiable).optional(),
                    ])
                    .array(),
                ),
            ],
        ),
    ];
    for recipe in more {
        recipes.register(recipe).expect("a good recipe");
    }
    recipes
}
