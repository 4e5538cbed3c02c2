# SPDX-License-Identifier: Apache-2.0
"""Small models that see or hear, of which make_media_model_fixture.py makes fixtures.

Each module is a family, or a few that are alike, and has CASES, by name. A name is that of the family, or of the family
and, behind a hyphen, of a further case of it. A new module is found by itself. A case is a dict of

    config      what the config class of the family in transformers is given
    raw         instead of it a config.json for remote_media.py, and `computed_as`, what transformers calls the family
    prompts     function of the case and of the folder of the fixture: writes the files of processors there and returns
                prompts (base.Prompt), which know their ids, what the model is given of them and what its encoder gives
    seed        of the weights, 1 where it has none
    model       class of transformers; AutoModelForImageTextToText knows most
    config_of   name of the config class, where it is not that of the family
    before      function that changes something of transformers first
    loaded      function of what loads the model, the case and the folder, which gives what loads a changed model
    checkpoint  function that is called in place of checkpoint.transformers_checkpoint
    more        function of the model and the case, which gives what else is recorded
    scale       function of a weight's name and its entry in the recipe, which changes how large its numbers are
    stored      pairs of first parts of tensors' names, as published and as transformers writes them
    thinker     the same; config.json becomes that of a model of which the config is the `thinker_config`

and of what its prompts read besides.
"""

from importlib import import_module
from pkgutil import iter_modules


def all_cases():
    found = {}
    for module in iter_modules(__path__):
        for name, case in getattr(import_module(f"{__name__}.{module.name}"), "CASES", {}).items():
            assert name not in found, f"two modules have a case {name}"
            found[name] = case
    return found
