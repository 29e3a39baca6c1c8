"""Sentences with labelled spans, from the templates and phone formats of presidio-evaluator and from Faker.

Usage: sentences.py PACKAGE_DIR COUNT. One JSON object a line: text, and spans as [start, end, type].
Only types with a structure are labelled; names and places are filled in and left unlabelled.
"""
import importlib.util
import json
import pathlib
import random
import re
import sys
import types

from faker import Faker

TYPES = {"credit_card_number": "card", "iban": "iban", "email": "email", "phone_number": "phone", "ssn": "ssn"}
PLAIN = {
    "person": "name", "organization": "company", "street_name": "street_name", "postcode": "postcode", "zipcode": "postcode",
    "nationality": "country", "nation_woman": "country", "nation_plural": "country", "name_female": "name_female",
    "name_male": "name_male", "age": "random_digit_not_null", "ip_address": "ipv4", "us_driver_license": "license_plate",
    "religion": "word", "secondary_address": "secondary_address", "date_time": "date", "date_of_birth": "date",
}


def phones(package):
    """The phone formats, without what the rest of the package needs."""
    for name in ("pandas", "requests", "presidio_evaluator"):
        sys.modules.setdefault(name, types.ModuleType(name))
    data = types.ModuleType("presidio_evaluator.data_generator")
    data.raw_data_dir = str(package / "data_generator" / "raw_data")
    sys.modules["presidio_evaluator.data_generator"] = data
    try:
        import yaml  # noqa: F401
    except ImportError:
        sys.modules["yaml"] = types.ModuleType("yaml")
    path = package / "data_generator" / "faker_extensions" / "providers.py"
    spec = importlib.util.spec_from_file_location("providers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PhoneNumberProviderNew


def value(fake, name):
    made = getattr(fake, PLAIN.get(name, name), None)
    return str(made()) if made else fake.word()


def main():
    package, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    random.seed(42)
    Faker.seed(42)
    fake = Faker("en_US")
    fake.add_provider(phones(package))
    banks = [Faker(locale) for locale in ("en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL")]
    raw = (package / "data_generator" / "raw_data" / "templates.txt").read_text(encoding="utf-8", errors="replace")
    templates = [line.replace("\\n", "\n").replace("\\,", ",") for line in raw.splitlines() if line.strip()]
    for at in range(count):
        text, spans, end = "", [], 0
        template = templates[at % len(templates)]
        for slot in re.finditer(r"\{\{\s*(\w+)\s*\}\}", template):
            name = slot.group(1).lower()
            text += template[end:slot.start()]
            filled = random.choice(banks).iban() if name == "iban" else value(fake, name)
            if name in TYPES:
                spans.append([len(text.encode()), len(text.encode()) + len(filled.encode()), TYPES[name]])
            text += filled
            end = slot.end()
        text += template[end:]
        print(json.dumps({"text": text, "spans": spans}))


main()
