"""What lies under tests/vendor is as it was published, with its licence beside it."""

import hashlib
from pathlib import Path

VENDOR = Path(__file__).parent / "vendor" / "javascript"

# The npm packages @openfeature/core 1.12.0, @openfeature/ofrep-core 0.1.4, @openfeature/ofrep-provider 0.1.3,
# @openfeature/server-sdk 1.23.0 and tslib 2.9.1: what their CommonJS entry needs. Another version brings other sums.
UNTOUCHED = {
    "@openfeature/core/LICENSE": "f964c4c458fcc3741ac1639dc28bef1e42c016b37cab9fe84400fc3b597dc5ab",
    "@openfeature/core/dist/cjs/index.js": "8b00d76b0bed7018d69b1fbd88259e7c0def126fe5eee8f0a203d74833853e58",
    "@openfeature/core/package.json": "720a6801e067957b0112c149df73822a22406e3357ba3e7a7564f76a5af6a00b",
    "@openfeature/ofrep-core/LICENSE": "58d1e17ffe5109a7ae296caafcadfdbe6a7d176f0bc4ab01e12a689b0499d8bd",
    "@openfeature/ofrep-core/index.cjs.js": "337a5bb349782f5ca69e21b34ff5cf47c34be2b254c5f62521b304d17976cf70",
    "@openfeature/ofrep-core/package.json": "7abfbdf022df41f051c54d6fca42bf2b41263178c74451dfcbe8e493efb0180d",
    "@openfeature/ofrep-provider/LICENSE": "58d1e17ffe5109a7ae296caafcadfdbe6a7d176f0bc4ab01e12a689b0499d8bd",
    "@openfeature/ofrep-provider/index.cjs.js": "8916b946dd74a2520c322a64457680e25a5022cdaab139e36bf084ef2298699f",
    "@openfeature/ofrep-provider/package.json": "884fcd13d6655f8f235cae2d1b4a6a27cc06eccfb01a9fe20899f83193b42930",
    "@openfeature/server-sdk/LICENSE": "f964c4c458fcc3741ac1639dc28bef1e42c016b37cab9fe84400fc3b597dc5ab",
    "@openfeature/server-sdk/dist/cjs/index.js": "1fd36fea869c073e154bf37e6e4a19bf1b8ca11d5ca6e2e4e4bc00b928e57e5d",
    "@openfeature/server-sdk/package.json": "d89b61f50eb97f4105def169eb722e50183343339433be799e54564e3d81d067",
    "tslib/LICENSE.txt": "210b19e543130388c68654b7497e967119ce17145f66ab7d85688fbd70f08751",
    "tslib/package.json": "7e9ccc6977540dd94f86f98d0ab9ac405cd3507ac5a2c34752498b250718366b",
    "tslib/tslib.js": "26d4007ca82663612bdef5321614b21865cfe4fc299bd339d3680f5134de550d",
}


def test_what_is_vendored_is_as_it_was_published_and_its_licence_lies_beside_it():
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file()
    }
    assert found == UNTOUCHED
    for name in ("core", "ofrep-core", "ofrep-provider", "server-sdk"):
        assert "Apache License" in (VENDOR / "@openfeature" / name / "LICENSE").read_text()
    # 0BSD asks for nothing; its text is kept all the same.
    assert "Permission to use, copy, modify" in (VENDOR / "tslib" / "LICENSE.txt").read_text()
