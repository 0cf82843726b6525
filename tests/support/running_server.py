"""The HTTP server on a socket of this machine, in a thread."""

import asyncio
import threading

import uvicorn

HERE = "http://127.0.0.1"


class Running:
    """A server on a socket, in a thread."""

    def __init__(self, app, make_server=uvicorn.Server):
        self.app = app
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="error", lifespan="on", timeout_graceful_shutdown=1,
            ws_max_size=int(app.state.server.config.max_body_mb * 2**20),
        )  # fmt: skip
        self.server = make_server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.started = threading.Event()
        begin = self.server.startup

        async def startup(sockets=None):
            await begin(sockets)
            self.loop = asyncio.get_running_loop()
            self.started.set()

        self.server.startup = startup
        self.thread.start()
        assert self.started.wait(20)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"{HERE}:{self.port}"

    @property
    def state(self):
        return self.app.state.server

    def stop(self):
        self.server.should_exit = True
        self.thread.join(20)
