"""A local HTTP server that answers like the Fear & Greed index of alternative.me."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class SentimentService:
    """Answers `value`, measured at `measured_at` (Unix seconds; now when None), or the raw `body`."""

    def __init__(self, value: int) -> None:
        self.value = value
        self.measured_at: float | None = None
        self.body: bytes | None = None
        self.status = 200
        self.speaks_http = True
        self.request_count = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/fng/?limit=1"

    def answer(self) -> bytes:
        if self.body is not None:
            return self.body
        at = int(time.time() if self.measured_at is None else self.measured_at)
        newest = {
            "value": str(self.value),
            "value_classification": "Fear",
            "timestamp": str(at),
            "time_until_update": "68499",
        }
        return json.dumps({"name": "Fear and Greed Index", "data": [newest], "metadata": {"error": None}}).encode()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.request_count += 1
                body = service.answer()
                if not service.speaks_http:
                    self.wfile.write(b"220 mail.example.com ESMTP\r\n")
                    return
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Silence."""

        return Handler
