"""A stream of encoded pictures, each shown as long as in the source. Encoders hand on when a picture begins, not how long it lasts."""

import av
from av.container import OutputContainer
from av.video.stream import VideoStream


class TimedStream:
    """Encodes pictures into a stream of a file, and gives each packet the duration of its picture.

    end_pts: when the last picture has been shown, in units of the pictures' time base; None: it lasts as long as the encoder says.
    sums_durations: for MP4 and MOV, which store how long until the next packet is *decoded*: the last one gets what the sum lacks.
    """

    def __init__(self, target: OutputContainer, stream: VideoStream, end_pts: int | None, *, sums_durations: bool) -> None:
        self._target = target
        self._stream = stream
        self._end_pts = end_pts
        self._sums_durations = sums_durations
        self._pts: list[int] = []  # of the first picture and the latest one
        self._first_dts: int | None = None
        self._ticks: dict[int, int] = {}  # the durations of pictures whose packets are not written yet, by pts
        self._held: list[av.Packet[VideoStream]] = []  # until the duration of each one's picture is known

    def write(self, picture: av.VideoFrame) -> None:
        """Encode a picture. Their pts rise."""
        assert picture.pts is not None
        if self._pts:
            self._ticks[self._pts[-1]] = picture.pts - self._pts[-1]
        self._pts = [*self._pts[:1], picture.pts]
        self._mux_held()
        self._held = self._stream.encode(picture)

    def finish(self) -> None:
        """Write the packets that the encoder still holds."""
        self._held += self._stream.encode(None)
        if self._end_pts is not None and self._pts:
            self._ticks[self._pts[-1]] = max(1, self._end_pts - self._pts[-1])
            self._close_sum(self._held[-1], self._end_pts)
        self._mux_held()

    def _close_sum(self, last: "av.Packet[VideoStream]", end_pts: int) -> None:
        """Give the last packet, if its picture is not the last one shown, the rest of the time in which all are shown."""
        first_dts = self._held[0].dts if self._first_dts is None else self._first_dts
        if last.pts is None or last.dts is None or first_dts is None:
            return
        if self._sums_durations and last.pts != self._pts[-1]:
            self._ticks[last.pts] = max(1, end_pts - self._pts[0] - (last.dts - first_dts))

    def _mux_held(self) -> None:
        for packet in self._held:
            if self._first_dts is None:
                self._first_dts = packet.dts
            if packet.pts in self._ticks:
                packet.duration = self._ticks.pop(packet.pts)
            self._target.mux(packet)
