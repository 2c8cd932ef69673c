"""What gatekeeper costs beside nginx, HAProxy, Envoy, Caddy, a plain aiohttp proxy and a mover of bytes."""
