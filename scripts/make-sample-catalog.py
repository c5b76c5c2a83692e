#!/usr/bin/env python3
"""Writes config/sample-catalog.ndjson, the catalog of `meta-catalog demo`.

Run it from anywhere: scripts/make-sample-catalog.py
With --check it writes nothing and fails if the file is not what it would write. It always writes the
same bytes: every choice comes from a hash of what it is for.

The first products are hand-made, one for each thing that can become of a product; src/demo/sample.rs
names some of them, and its tests look for all. The rest are ordinary goods. Makers, sellers and texts
are invented; GTINs lie in the ranges reserved for use inside a shop.
"""

import hashlib
import json
import pathlib
import sys

PRODUCTS = 200
VARIANTS = 600
OUT = pathlib.Path(__file__).resolve().parent.parent / "config" / "sample-catalog.ndjson"


def pick(options, *what):
    """One of the options, always the same for the same `what`."""
    digest = hashlib.sha256("/".join(map(str, what)).encode()).digest()
    return options[int.from_bytes(digest[:8], "big") % len(options)]


def with_check_digit(digits):
    total = sum(int(d) * (3 if i % 2 == 0 else 1) for i, d in enumerate(reversed(digits)))
    return digits + str(-total % 10)


def ean(number):
    return with_check_digit(f"20{number:010d}")


def upc(number):
    return with_check_digit(f"2{number:010d}")


VENDORS = [
    {"id": "ven-loomhouse", "name": "Loomhouse Traders"},
    {"id": "ven-harbour-lane", "name": "Harbour Lane Supply"},
    {"id": "ven-kite-kettle", "name": "Kite & Kettle"},
    {"id": "ven-namuna", "name": "नमूना बाज़ार"},
    {"id": "ven-mihon", "name": "みほん商店"},
]

COLOURS = ["Indigo", "Madder Red", "Marigold", "Moss", "Chalk", "Slate", "Plum", "Sea Glass", "Clay"]
SIZES = ["XS", "S", "M", "L", "XL"]
WORDS = ["Morning", "Harvest", "Monsoon", "Lantern", "Orchard", "Courtyard", "Ferry", "Foothill",
         "Saffron", "Willow", "Tidewater", "Juniper", "Kestrel"]

# name, brand, category trail, materials, sizes (None: one size), price from/to in rupees, sentence
KINDS = [
    ("Kurta", "Weftwander", ["Clothing", "Tops", "Kurtas"], ["Cotton", "Linen", "Khadi"], SIZES,
     (999, 3499), "Cut straight with side slits, it falls just above the knee."),
    ("Scarf", "Weftwander", ["Clothing", "Accessories", "Scarves"], ["Silk", "Wool", "Cotton"], None,
     (499, 2499), "Hemmed by hand and wide enough to wear as a shawl."),
    ("Block-Print Shirt", "Tindral", ["Clothing", "Tops", "Shirts"], ["Cotton", "Linen"], SIZES,
     (899, 2799), "Printed with carved wooden blocks, so no two shirts are quite alike."),
    ("Rain Jacket", "Saltfen", ["Clothing", "Outerwear", "Jackets"], ["Waxed Cotton", "Nylon"], SIZES,
     (2999, 8999), "Taped seams and a hood that turns with your head."),
    ("Mug", "Ombrastone", ["Home", "Kitchen", "Drinkware", "Mugs"], ["Stoneware"], None,
     (349, 899), "Thrown on a wheel and glazed inside and out; it holds 320 ml."),
    ("Serving Bowl", "Ombrastone", ["Home", "Kitchen", "Tableware", "Bowls"], ["Stoneware", "Mango Wood"],
     ["Small", "Medium", "Large"], (599, 2299), "Deep enough for a salad, light enough to pass around."),
    ("Cushion Cover", "Hollowreed", ["Home", "Living", "Cushions"], ["Cotton", "Jute", "Velvet"],
     ["40 × 40 cm", "50 × 50 cm"], (399, 1499), "With a hidden zip; the filling is not included."),
    ("Table Lamp", "Lanternette", ["Home", "Lighting", "Lamps"], ["Brass", "Paper", "Bamboo"], None,
     (1499, 5999), "Takes an E27 bulb of up to 40 watts and comes with 1.8 m of cable."),
    ("Notebook", "Kumoyama Paper", ["Stationery", "Paper", "Notebooks"], ["Recycled Paper"], ["A6", "A5", "A4"],
     (149, 649), "Sewn, not glued, so it lies flat from the first page to the last."),
    ("Toy Train", "Pebblewick", ["Toys", "Wooden Toys"], ["Beech", "Maple"], None,
     (799, 2499), "Painted with water-based colours; for children from three years on."),
    ("Backpack", "Saltfen", ["Bags", "Backpacks"], ["Canvas", "Waxed Cotton"], ["16 L", "22 L", "30 L"],
     (1999, 6499), "A sleeve inside takes a 15-inch laptop, a pocket outside a bottle."),
    ("Tea", "Verdrow", ["Food", "Drinks", "Tea"], None, ["50 g", "100 g", "250 g"],
     (199, 1299), "Picked in spring; pour over water just off the boil and wait three minutes."),
    ("Soap Bar", "Hollowreed", ["Body", "Bath", "Soaps"], None, ["100 g", "150 g"],
     (129, 449), "Cold-processed and cured for six weeks."),
    ("Throw Blanket", "Tindral", ["Home", "Living", "Throws"], ["Wool", "Cotton"], ["Single", "Double"],
     (1799, 6999), "Woven on a wide loom, with a fringe on the short sides."),
]
PATTERNS = ["Paisley", "Stripes", "Plain", "Ikat", "Dots"]

CLOSING = [
    "Made in small batches, so tones may differ a little.",
    "Packed without plastic.",
    "Leaves our workshop within two working days.",
]


def slugify(text):
    return "-".join("".join(c.lower() if c.isascii() and c.isalnum() else " " for c in text).split())


def brand(title):
    return {"id": "brand-" + slugify(title), "title": title}


def stock(on_hand, reserved=0, backorder=False, tracked=True):
    return {"trackInventory": tracked, "quantityOnHand": on_hand, "reservedQuantity": reserved,
            "allowBackorder": backorder}


def option(name, value):
    return {"name": name, "value": value}


class Catalog:
    def __init__(self):
        self.lines = []
        self.variants = 0

    def add(self, title, variants, **fields):
        """Appends a product that is fine unless `fields` or the variants say otherwise. A field of
        None is left out."""
        product_id = f"prod-{len(self.lines) + 1:03d}"
        slug = slugify(title) or product_id
        product = {
            "id": product_id, "title": title, "slug": f"{slug}-{product_id[5:]}",
            "description": f"<p>{title}.</p>", "status": "active", "visibility": "public",
            "thumbnail": f"products/{product_id}/main.jpg",
            "vendor": VENDORS[len(self.lines) % len(VENDORS)],
            "brand": brand("Weftwander"), "categories": ["Home"],
        }
        product.update(fields)
        product["variants"] = []
        for at, given in enumerate(variants, 1):
            self.variants += 1
            variant = {"id": f"{product_id}-{at}", "sku": f"SC-{product_id[5:]}-{at:02d}",
                       "ean": ean(self.variants), "price": 129900, "inventory": stock(12)}
            variant.update(given)
            if variant["price"]:
                # Some shops know what a thing cost them; a mapper module may make a label of the margin.
                share = 30 + int.from_bytes(hashlib.sha256(variant["id"].encode()).digest()[:4], "big") % 80
                variant["extra"] = {"cost": variant["price"] * share // 100}
            product["variants"].append({k: v for k, v in variant.items() if v is not None})
        self.lines.append({k: v for k, v in product.items() if v is not None})


def specials(c):
    """One product for each thing that can become of one. The first ten hold every outcome."""
    # 001: the demo ends the first variant's sale and edits the second one's price.
    c.add("Indigo Handloom Kurta",
          [{"options": [option("Colour", "Indigo"), option("Size", s), option("Fabric", "Khadi")],
            "specialPrice": 149900 if s == "S" else None,
            "specialPriceStart": "2026-01-01T00:00:00+05:30" if s == "S" else None,
            "specialPriceEnd": "2099-01-01T00:00:00+05:30" if s == "S" else None,
            "price": 189900, "images": [f"products/prod-001/{s.lower()}.jpg"]} for s in "SML"],
          subtitle="Woven on a pit loom, dyed in a vat",
          description="<p>Woven on a pit loom and dyed in a vat of fermented indigo.</p>"
                      "<ul><li>Straight cut with side slits</li><li>Coconut-shell buttons</li></ul>"
                      "<p>The first wash will turn the water blue; that is the dye saying hello.</p>",
          categories=["Clothing", "Tops", "Kurtas"])
    # 002: the demo archives it.
    c.add("Brass Reading Lamp",
          [{"options": [option("Finish", f)], "price": 349900} for f in ["Polished", "Brushed"]],
          description="<p>Turns in every direction and keeps the light off your neighbour.</p>",
          brand=brand("Lanternette"), categories=["Home", "Lighting", "Lamps"])
    # 003: no image anywhere, which Meta refuses.
    c.add("Mystery Parcel", [{"price": 99900}], thumbnail=None, categories=["Gifts"],
          description="<p>We have not taken its picture, or it would be no mystery.</p>")
    c.add("Felt Slippers, Not Yet Announced", [{}, {"price": 139900}], status="draft",
          categories=["Clothing", "Shoes"])
    c.add("Staff Apron", [{}], visibility="private", categories=["Clothing"])
    c.add("Paper Kite of Last Season", [{}, {}], deletedAt="2025-02-01T10:00:00Z",
          brand=brand("Pebblewick"), categories=["Toys"])
    # 007: one sellable variant among ones that are not.
    c.add("Walnut Pepper Mill",
          [{"price": 219900, "options": [option("Size", "15 cm")]},
           {"price": None, "options": [option("Size", "20 cm")]},
           {"price": 0, "options": [option("Size", "25 cm")]},
           {"deletedAt": "2025-06-30", "options": [option("Size", "30 cm")]}],
          brand=brand("Ombrastone"), categories=["Home", "Kitchen"])
    c.add("Chalkboard Tags", [{}], slug=None, categories=["Stationery"])
    # 009: every word of availability.
    c.add("Enamel Camping Plate",
          [{"inventory": stock(0, tracked=False), "options": [option("Colour", "Chalk")]},
           {"inventory": stock(0), "options": [option("Colour", "Moss")]},
           {"inventory": stock(0, backorder=True), "options": [option("Colour", "Slate")]},
           {"inventory": stock(7, reserved=9), "options": [option("Colour", "Clay")]},
           {"inventory": None, "options": [option("Colour", "Plum")]}],
          brand=brand("Saltfen"), categories=["Outdoor", "Camp Kitchen"])
    c.add("हाथ से बुना सूती कुर्ता 🧵",
          [{"options": [option("Colour", "नीला"), option("Size", "M")], "images": ["products/कुर्ता/नीला 1.jpg"]},
           {"options": [option("Colour", "गेरुआ"), option("Size", "L")]}],
          slug="हाथ-से-बुना-कुर्ता",
          description="<p>गर्मियों के लिए हल्का और मुलायम सूती कुर्ता।</p><p>ठंडे पानी में धोएँ।</p>",
          vendor=VENDORS[3], brand=brand("Weftwander"), categories=["कपड़े", "कुर्ते"])
    c.add("Jute Doormat", [{}], status="archived", brand=brand("Hollowreed"))
    c.add("手すき和紙のノート",
          [{"options": [option("Size", "A5"), option("Material", "和紙")]},
           {"options": [option("Size", "A6"), option("Material", "和紙")]}],
          slug="手すき和紙のノート", vendor=VENDORS[4], brand=brand("Kumoyama Paper"),
          description="<p>一枚ずつ手ですいた和紙を、糸でとじたノートです。</p><p>万年筆でもにじみません。</p>",
          categories=["文房具", "ノート"])
    c.add("فانوس نحاسي صغير", [{"options": [option("Colour", "ذهبي")]}],
          slug="فانوس-نحاسي", brand=brand("Lanternette"),
          description="<p>فانوس من النحاس المثقوب يلقي ظلالاً على الجدار.</p>",
          categories=["المنزل", "الإضاءة"])
    c.add("Family Puzzle 👨‍👩‍👧‍👦 1,000 Pieces 🧩", [{"options": [option("Pattern", "Harbour at Night 🌃")]}],
          brand=brand("Pebblewick"), categories=["Toys", "Puzzles"],
          description="<p>Rainy day? ☔ Four people, one table, a thousand pieces.</p>")
    # 015: product codes, good, odd and bad.
    c.add("Beeswax Candle",
          [{"ean": "2000000000012", "upc": upc(15001)},           # wrong check digit: the UPC is taken
           {"ean": f"{ean(15002)[:2]}-{ean(15002)[2:7]} {ean(15002)[7:]}"},  # blanks and dashes
           {"ean": "12345", "upc": "n/a", "barcode": "CANDLE-3"},  # none is a GTIN
           {"ean": None, "barcode": with_check_digit("0212345")},  # GTIN-8 with a leading zero
           {"ean": None, "upc": upc(15005)}],
          brand=brand("Hollowreed"), categories=["Home", "Candles"])
    c.add("Unlabelled Clay Pot", [{}], brand=None, categories=["Home", "Garden"])
    # 017: neither brand nor vendor, so nothing to send as Meta's required brand.
    c.add("Found Driftwood", [{"ean": None}], brand=None, vendor=None, categories=["Home", "Decor"])
    # 018: sale windows.
    sale = {"price": 100000, "specialPrice": 75000}
    c.add("Cotton Bath Towel",
          [{**sale, "specialPriceStart": "2021-11-01T00:00:00Z", "specialPriceEnd": "2021-12-01T00:00:00Z"},
           {**sale, "specialPriceStart": "2090-01-01", "specialPriceEnd": "2090-02-01"},
           {**sale, "specialPriceStart": "2020-01-01", "specialPriceEnd": "2099-12-31T23:59:59+05:30"},
           {**sale, "specialPriceStart": "2020-01-01"},
           {**sale, "specialPriceEnd": "2099-12-31"},
           {**sale},
           {**sale, "specialPriceStart": "2099-01-01", "specialPriceEnd": "2020-01-01"},
           {**sale, "specialPrice": 100000},
           {**sale, "specialPrice": 0}],
          brand=brand("Hollowreed"), categories=["Home", "Bath"])
    c.add("The Very Long Shelf: " + " ".join(
              f"board {n} of solid oak, planed and oiled," for n in range(1, 9)) + " with brackets 👩🏽‍🔧",
          [{"price": 899900}], brand=brand("Ombrastone"), categories=["Home", "Furniture"])
    c.add("Plain Linen Napkin", [{}], description="<p> </p><br><div>&nbsp;</div>",
          subtitle="Set of four, hemmed by hand", categories=["Home", "Kitchen"])
    c.add("Picture Postcards",
          [{"thumbnail": "HTTPS://cdn.example/postcards/front.jpg",
            "images": [f"postcards/view {n}.jpg" for n in range(1, 13)]
                      + ["postcards/view 1.jpg", "https://cdn.example/postcards/back.jpg?w=1200&h=800",
                         "postcards/50% größer#2.jpg"]}],
          brand=brand("Kumoyama Paper"), categories=["Stationery", "Cards"])
    c.add("Merino Walking Socks", [{"options": [option("Size", "39–42")]}], brand=brand("Tindral"),
          categories=["Clothing", "Underwear", "Socks", "Sport Socks", "Hiking Socks"])
    c.add("Loose Buttons", [{"sku": None, "ean": None}], brand=None, categories=None)
    c.add("Kitchen Scale 5 < 10 & More",
          [{"options": [option("COLOR", "Slate"), option("Print", "Dots")]}],
          brand=brand("Ombrastone"), categories=["Home", "  ", "Kitchen"],
          description="<style>p{color:red}</style><script>alert('no')</script><p>Weighs 5 &lt; 10 &amp; up to"
                      " 12&nbsp;kg,</p><p>&#128207; to the gram.<br/>Caf&eacute;-proof</p><!-- note -->")
    c.add("Gift Card", [{"price": 50000, "inventory": None}, {"price": 100000, "inventory": None}],
          description=None, subtitle=None, thumbnail="https://shop.example/media/gift-card.png",
          categories=["Gifts"])


def ordinary(c):
    at = 0
    while len(c.lines) < PRODUCTS:
        name, maker, trail, materials, sizes, (low, high), sentence = KINDS[at % len(KINDS)]
        word = WORDS[(at // len(KINDS)) % len(WORDS)]
        # About an even share of what is left; the last product takes the rest.
        products_left, variants_left = PRODUCTS - len(c.lines), VARIANTS - c.variants
        share = variants_left // products_left
        count = share if products_left == 1 else max(1, share + pick([-2, -1, 0, 0, 1, 1, 2], at, "count"))
        material = pick(materials, at, "material") if materials else None
        variants = []
        for n in range(count):
            options = [option("Colour", COLOURS[(at + n // (len(sizes) if sizes else 1)) % len(COLOURS)])]
            if sizes:
                options.append(option("Size", sizes[n % len(sizes)]))
            if material:
                options.append(option(pick(["Material", "Fabric"], at), material))
            if name in ("Scarf", "Cushion Cover", "Block-Print Shirt"):
                options.append(option(pick(["Pattern", "Print"], at), pick(PATTERNS, at, "pattern")))
            price = (low + int.from_bytes(hashlib.sha256(f"{at}/{n // 3}".encode()).digest()[:4], "big")
                     % (high - low)) // 10 * 1000 + 900
            variant = {"price": price, "options": options, "inventory": stock(pick(range(0, 60), at, n))}
            if pick(range(12), at, n, "sale") == 0:
                variant["specialPrice"] = price * 4 // 5
                variant["specialPriceStart"] = "2024-01-01"
            if pick(range(5), at, n, "own image") == 0:
                variant["thumbnail"] = f"products/{word.lower()}-{at}/{n + 1}.jpg"
            variants.append(variant)
        title = f"{word} {name}" + (f" in {material}" if material else "")
        texts = [f"The {word} {name}" + (f", made of {material.lower()}." if material else "."), sentence,
                 pick(CLOSING, at, "closing")]
        c.add(title, variants, brand=brand(maker), categories=trail,
              description="".join(f"<p>{t}</p>" for t in texts),
              images=[f"products/{word.lower()}-{at}/detail.jpg"] if at % 3 == 0 else None)
        at += 1


def main():
    catalog = Catalog()
    specials(catalog)
    ordinary(catalog)
    assert (len(catalog.lines), catalog.variants) == (PRODUCTS, VARIANTS), catalog.variants
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"
                   for line in catalog.lines)
    if sys.argv[1:] == ["--check"]:
        if OUT.read_text(encoding="utf-8") != text:
            sys.exit(f"{OUT} is not what this script writes: run it without --check")
        return
    if sys.argv[1:]:
        sys.exit(f"usage: {sys.argv[0]} [--check]")
    OUT.write_text(text, encoding="utf-8", newline="\n")
    print(f"{OUT}: {len(catalog.lines)} products, {catalog.variants} variants, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
