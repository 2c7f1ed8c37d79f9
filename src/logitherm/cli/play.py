"""`logitherm play`: the playground in the browser."""

from __future__ import annotations

import secrets
import socket
import threading
import webbrowser
from typing import Annotated

import typer
from rich.console import Console

from logitherm.cli import options
from logitherm.cli.errors import friendly
from logitherm.errors import BackendUnavailable, LogithermError
from logitherm.models import load_model


@friendly
def play(
    model: options.ModelOption = None,
    port: Annotated[
        int, typer.Option(help="The port to listen on; 0 takes any that is free.", min=0, max=65535)
    ] = 7860,
    host: Annotated[
        str, typer.Option(help="Listen here; anything but 127.0.0.1 can be reached from elsewhere.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    plugins: Annotated[bool, typer.Option("--plugins", help="Recipes may name rules of other packages.")] = False,
    memory: Annotated[int, typer.Option(help="Megabytes of logits to hold for looking back.", min=1)] = 512,
    dtype: options.DtypeOption = "auto",
    device: options.DeviceOption = "auto",
) -> None:
    """Play with a model in the browser: write, see why, drag the rules, compare, replay."""
    try:
        import uvicorn

        from logitherm.playground.app import Playground
        from logitherm.playground.guard import OWN, Guard
    except ImportError as error:
        raise BackendUnavailable(f"the playground needs {error.name}: pip install 'logitherm[play]'") from None
    console = Console(stderr=True, highlight=False)
    listening = _listen(host, port)
    loaded = load_model(model, dtype=dtype, device=device)
    local = host in OWN
    token = None if local else secrets.token_urlsafe(16)
    app = Guard(Playground(loaded, memory << 20, plugins).app(), OWN if local else None, token)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
    console.print(f"the playground of {loaded.name} is at {address}", soft_wrap=True)
    if token:
        console.print("it can be reached from other machines by whoever knows this address", style="yellow")
    console.print("Ctrl-C ends it", style="dim")
    if browser:
        threading.Timer(0.3, webbrowser.open, [address]).start()
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, timeout_keep_alive=30)
    )
    server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens, before the model is loaded: what is wrong with it is said at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(128)
    except OSError as error:
        found.close()
        hint = "; --port 0 takes any that is free" if port else ""
        raise LogithermError(f"cannot listen on {host}:{port}: {error.strerror or error}{hint}") from None
    return found
