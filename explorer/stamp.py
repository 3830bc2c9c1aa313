"""A generated picture as PNG that says what it is: the recipe in its text, and IPTC's mark for generated pictures.

Sources: PNG 1.2's text chunks; XMP specification part 3 (the `iTXt` chunk `XML:com.adobe.xmp`); IPTC Photo Metadata
2023.1, "Digital Source Type", and its NewsCodes.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from explorer.records import Recipe

SOFTWARE = "latent-explorer"
RECIPE = "recipe"
"""The PNG text that holds the recipe as JSON."""
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

_XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/">
   <Iptc4xmpExt:DigitalSourceType>{GENERATED}</Iptc4xmpExt:DigitalSourceType>
   <xmp:CreatorTool>{SOFTWARE}</xmp:CreatorTool>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def stamped(image: Image.Image, recipe: Recipe) -> bytes:
    """Return a generated picture as PNG; the same picture and recipe give the same bytes."""
    info = PngInfo()
    info.add_text("Software", SOFTWARE)
    info.add_itxt(RECIPE, json.dumps(asdict(public(recipe)), ensure_ascii=False))
    info.add_itxt("XML:com.adobe.xmp", _XMP)
    data = io.BytesIO()
    image.save(data, "PNG", pnginfo=info)
    return data.getvalue()


def stamp_of(path: Path) -> Recipe | None:
    """The recipe that a PNG of ours bears; None of every other file, and of a recipe that is none."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            told = json.loads(getattr(image, "text", {}).get(RECIPE, "null"))
    except (OSError, ValueError):
        return None
    if not isinstance(told, dict) or not isinstance(told.get("prompt"), str):
        return None
    seed = told.get("seed")
    return Recipe(told["prompt"], seed=seed if isinstance(seed, int) else 0)


def public(recipe: Recipe) -> Recipe:
    """Return the recipe without this machine's folders: a local model by its file's name alone."""
    return replace(recipe, generator=public_name(recipe.generator), lora=recipe.lora and public_name(recipe.lora))


def public_name(reference: str) -> str:
    """A model reference without this machine's folders."""
    bare = reference.removeprefix("local-dir:")
    path = Path(bare)
    is_local = bare != reference or path.is_absolute() or bare.startswith(("./", "../", "~"))
    return path.name if is_local else reference
