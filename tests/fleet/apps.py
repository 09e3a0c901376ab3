"""Applications for the tests of the data path, as the text of their files."""

MANY = '''
"""Echoes; fails, records, streams and takes its time where it is asked to."""
import asyncio, json, os

ME = os.environ["MSCTL_INSTANCE"]
go_on = asyncio.Event()
sent = 0

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    action, _, argument = scope["path"][1:].partition("/")
    await ACTIONS.get(action, echo)(argument, receive, send)

async def reply(send, answer, status=200):
    body = json.dumps(answer).encode()
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})

async def echo(argument, receive, send):
    await reply(send, argument)

async def fail(argument, receive, send):
    victim, _, status = argument.partition("/")
    await reply(send, ME, int(status) if victim == ME else 200)

async def record(argument, receive, send):
    body = (await receive())["body"]
    with open("executed", "ab", buffering=0) as file:
        file.write(body + b"\\n")
    await asyncio.sleep(0.002)
    await reply(send, ME)

async def events(argument, receive, send):
    head = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b"data: one\\n\\n", "more_body": True})
    await go_on.wait()
    await send({"type": "http.response.body", "body": b"data: two\\n\\n", "more_body": True})
    await asyncio.sleep(600)

async def release(argument, receive, send):
    go_on.set()
    await reply(send, sent)

async def moved(argument, receive, send):
    await reply(send, sent)

async def download(argument, receive, send):
    global sent
    head = [(b"content-length", argument.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    while sent < int(argument):
        piece = bytes(min(65536, int(argument) - sent))
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        sent += len(piece)
    await send({"type": "http.response.body", "body": b""})

async def upload(argument, receive, send):
    await go_on.wait()
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await reply(send, size)

ACTIONS = {"fail": fail, "record": record, "events": events, "release": release,
           "moved": moved, "download": download, "upload": upload}
'''

WEBSOCKET = '''
"""Echoes what comes after the upgrade, frame by frame, with the mask taken off."""
import asyncio, base64, hashlib, os

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

async def serve(reader, writer):
    _, *lines = (await reader.readuntil(b"\\r\\n\\r\\n")).decode().split("\\r\\n")
    fields = {name.lower(): value.strip() for name, _, value in (l.partition(":") for l in lines)}
    if fields.get("upgrade") == "websocket":
        digest = hashlib.sha1((fields["sec-websocket-key"] + GUID).encode()).digest()
        writer.write(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n"
                     b"Connection: Upgrade\\r\\nSec-WebSocket-Accept: "
                     + base64.b64encode(digest) + b"\\r\\n\\r\\n")
        while start := await reader.read(2):
            mask = await reader.readexactly(4)
            data = await reader.readexactly(start[1] & 127)
            plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
            writer.write(bytes((start[0], len(plain))) + plain)
    else:
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()

asyncio.run(main())
'''
