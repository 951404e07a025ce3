"""A ComfyUI node: a video file in, the path of the clean one out. It needs nothing but Python.

Copy this folder into ComfyUI's `custom_nodes`, and start ComfyUI with CLEANPLATE_URL and CLEANPLATE_KEY in its environment: a key in a
workflow would be shared with it.
"""

import json
import os
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

PAUSE_SECONDS = 2.0
BOUNDARY = "cleanplate-part"


class CleanVideo:
    """Uploads a video through the kie API, waits for its task, and saves the result beside it."""

    CATEGORY = "video"
    FUNCTION = "clean"
    RETURN_TYPES = ("STRING",)
    RETURN_NAMES = ("clean_path",)
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """What the node asks for; the name is ComfyUI's."""
        return {"required": {"path": ("STRING", {"default": "output/clip.mp4"})}}

    def clean(self, path: str) -> tuple[str]:
        """The path of the clean video. Raises RuntimeError with what the service says if it refuses, or the task fails."""
        source = Path(path)
        uploaded = ask("/api/file-stream-upload", form(source), f"multipart/form-data; boundary={BOUNDARY}")
        task = {"model": "sora-watermark-remover", "input": {"video_url": uploaded["downloadUrl"]}}
        task_id = ask("/api/v1/jobs/createTask", json.dumps(task).encode())["taskId"]
        while (record := ask("/api/v1/jobs/recordInfo?" + urlencode({"taskId": task_id})))["state"] not in ("success", "fail"):
            time.sleep(PAUSE_SECONDS)
        if record["state"] == "fail":
            raise RuntimeError(f"{record['failCode']}: {record['failMsg']}")
        target = source.with_stem(f"{source.stem}_clean")
        with urllib.request.urlopen(json.loads(record["resultJson"])["resultUrls"][0]) as answer:
            target.write_bytes(answer.read())
        return (str(target),)


def form(source: Path) -> bytes:
    """The upload's form: the file and the folder that it goes to."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="uploadPath"\r\n\r\ncomfyui\r\n'
    head += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{source.name}"\r\n\r\n'
    return head.encode() + source.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


def ask(path: str, body: bytes | None = None, content_type: str = "application/json") -> dict[str, Any]:
    """The `data` of an answer. kie's errors have HTTP status 200 and a `code` of their own."""
    headers = {"Authorization": f"Bearer {os.environ['CLEANPLATE_KEY']}", "Content-Type": content_type}
    request = urllib.request.Request(os.environ["CLEANPLATE_URL"] + path, body, headers)
    with urllib.request.urlopen(request) as answer:
        told = json.load(answer)
    if told["code"] != 200:
        raise RuntimeError(f"{told['code']}: {told['msg']}")
    return dict(told["data"])


NODE_CLASS_MAPPINGS = {"CleanplateCleanVideo": CleanVideo}
NODE_DISPLAY_NAME_MAPPINGS = {"CleanplateCleanVideo": "Clean a video (Cleanplate)"}
