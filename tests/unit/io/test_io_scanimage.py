import json

import pytest

from derotation.io.scanimage import VolumeLayout, frame_number, parse_header

MODERN = """SI.LINE_FORMAT_VERSION = 1
SI.VERSION_MAJOR = '2016'
SI.VERSION_MINOR = '0'
SI.acqState = 'grab'
SI.hChannels.channelSave = [1;3]
SI.hFastZ.discardFlybackFrames = false
SI.hFastZ.enable = 0
SI.hFastZ.numDiscardFlybackFrames = 0
SI.hFastZ.numFramesPerVolume = []
SI.hFastZ.numVolumes = 600
SI.hMotors.motorPosition = [12938 11799.5 -190.4]
SI.hRoiManager.imagingFovUm = [-30 -20;30 -20;30 20;-30 20]
SI.hRoiManager.linePeriod = 6.3107e-05
SI.hRoiManager.linesPerFrame = 400
SI.hRoiManager.mroiEnable = false
SI.hRoiManager.pixelsPerLine = 600
SI.hRoiManager.scanFrameRate = 30.012
SI.hScan2D.bidirectional = true
SI.hScan2D.fillFractionTemporal = 0.712867
SI.hScan2D.logAverageFactor = 1
SI.hStackManager.framesPerSlice = Inf
SI.hStackManager.numSlices = 1
"""

FLAT_5 = """Frame Number =                5
Frame Timestamp(s) =               0.133179812
scanimage.SI5.VERSION_MAJOR = 5
scanimage.SI5.VERSION_MINOR = 0
scanimage.SI5.acqNumAveragedFrames = 1
scanimage.SI5.acqNumFrames = 3000
scanimage.SI5.bidirectionalAcq = true
scanimage.SI5.channelsSave = [1;2]
scanimage.SI5.fastZDiscardFlybackFrames = false
scanimage.SI5.fastZEnable = false
scanimage.SI5.fastZNumDiscardFrames = 0
scanimage.SI5.fillFractionTime = 0.712867
scanimage.SI5.flybackLinesPerFrame = 16
scanimage.SI5.linesPerFrame = 512
scanimage.SI5.scanFramePeriod = 0.0334177
scanimage.SI5.stackNumSlices = 1
scanimage.SI5.userFunctionsCfg = <nonscalar struct/object>
"""

FLAT_4 = """scanimage.SI4.versionMajor = 4.2
scanimage.SI4.acqNumFrames = Inf
scanimage.SI4.channelsSave = 1
scanimage.SI4.fastZEnable = true
scanimage.SI4.fastZDiscardFlybackFrames = true
scanimage.SI4.fastZNumDiscardFrames = 1
scanimage.SI4.fastZNumVolumes = 10
scanimage.SI4.motorPosition = [-33936.5 -106316 -55308.5]
scanimage.SI4.scanFrameRate = 29.9
scanimage.SI4.scanLinesPerFrame = 256
scanimage.SI4.scanMode = 'unidirectional'
scanimage.SI4.stackNumSlices = 4
"""

OLD = "\r".join(
    [
        "state.configName='piezo'",
        "state.software.version=3.8",
        "state.software.minorRev=1",
        "state.acq.numberOfZSlices=1",
        "state.acq.numAvgFramesSave=1",
        "state.acq.averaging=0",
        "state.acq.numberOfFrames=30",
        "state.acq.linesPerFrame=64",
        "state.acq.frameRate=8.13802083333333",
        "state.acq.msPerLine=1.92",
        "state.acq.fillFraction=0.853333333333333",
        "state.acq.bidirectionalScan=1",
        "state.acq.savingChannel1=0",
        "state.acq.savingChannel2=1",
        "state.acq.savingChannel3=1",
        "state.motor.absXPosition=-16246.2",
        "state.motor.absYPosition=-16607.4",
        "state.motor.absZPosition=-3374.8",
        "state.motor.absZZPosition=NaN",
        "",
    ]
)


def changed(text: str, **entries: object) -> str:
    """Replace or add entries, whose dots are written as two underscores."""
    lines = text.splitlines()
    for name, value in entries.items():
        key = f"SI.{name.replace('__', '.')}"
        lines = [line for line in lines if not line.startswith(f"{key} =")]
        lines.append(f"{key} = {value}")
    return "\n".join(lines) + "\n"


def test_modern_header_in_the_software_tag():
    header = parse_header(MODERN, "frameNumbers = 1\n")
    found = header.metadata
    assert found.source == "scanimage"
    assert found.frame_rate == 30.012
    assert found.lines_per_frame == 400
    assert found.bidirectional is True
    assert found.channels_saved == (1, 3)
    assert found.n_planes == 1
    assert found.frames_written is None
    assert found.line_duty == 0.712867
    assert found.line_period_s == 6.3107e-05
    assert found.pixel_size_um == pytest.approx(60 / 600)
    assert found.stage_position_um == (12938.0, 11799.5, -190.4)
    assert found.software == "ScanImage 2016.0"
    assert header.volumes == VolumeLayout()
    assert header.frames_planned is None
    assert header.notes == ()


def test_header_of_2015_in_the_description_with_its_longer_prefix():
    text = "frameNumbers = 1\n" + MODERN.replace("SI.", "scanimage.SI.")
    header = parse_header("", text)
    assert header.metadata.channels_saved == (1, 3)
    assert header.metadata.frame_rate == 30.012


def test_header_in_json():
    content = {
        "SI": {
            "VERSION_MAJOR": "2018",
            "VERSION_MINOR": "1",
            "hChannels": {"channelSave": [2, 4]},
            "hRoiManager": {"scanFrameRate": 15.5, "linesPerFrame": 512},
            "hScan2D": {"bidirectional": False},
            "hStackManager": {"enable": False, "actualNumSlices": 11},
        }
    }
    found = parse_header(json.dumps(content, indent=2), "").metadata
    assert found.channels_saved == (2, 4)
    assert found.frame_rate == 15.5
    assert found.bidirectional is False
    assert found.n_planes == 1
    assert found.software == "ScanImage 2018.1"


def test_flat_header_of_version_5():
    header = parse_header("", FLAT_5)
    found = header.metadata
    assert found.frame_rate == pytest.approx(1 / 0.0334177)
    assert found.lines_per_frame == 512
    assert found.bidirectional is True
    assert found.channels_saved == (1, 2)
    assert found.line_duty == 0.712867
    assert found.line_period_s == pytest.approx(0.0334177 / 528)
    assert found.software == "ScanImage 5.0"
    assert header.frames_planned == 3000


def test_flat_header_of_version_4_with_volumes():
    header = parse_header("", FLAT_4)
    found = header.metadata
    assert found.frame_rate == 29.9
    assert found.lines_per_frame == 256
    assert found.bidirectional is False
    assert found.channels_saved == (1,)
    assert found.stage_position_um == (-33936.5, -106316.0, -55308.5)
    assert found.software == "ScanImage 4.2"
    assert found.line_period_s is None
    assert header.volumes == VolumeLayout(n_planes=4, repeats=1, frames_per_volume=5)
    assert header.frames_planned == 50


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_header_of_version_3(end):
    header = parse_header("", OLD.replace("\r", end))
    found = header.metadata
    assert found.frame_rate == pytest.approx(8.138, abs=1e-3)
    assert found.lines_per_frame == 64
    assert found.bidirectional is True
    assert found.channels_saved == (2, 3)
    assert found.line_duty == pytest.approx(0.85333, abs=1e-4)
    assert found.line_period_s == pytest.approx(1.92e-3)
    assert found.pixel_size_um is None
    assert found.stage_position_um == (-16246.2, -16607.4, -3374.8)
    assert found.software == "ScanImage 3.8.1"
    assert header.frames_planned == 30
    assert header.n_averaged == 1


def test_line_period_that_contradicts_the_frame_rate_is_not_used():
    header = parse_header("", OLD.replace("msPerLine=1.92", "msPerLine=3"))
    assert header.metadata.line_period_s is None


def test_averaging():
    old = OLD.replace("averaging=0", "averaging=1").replace("FramesSave=1", "FramesSave=4")
    assert parse_header("", old).n_averaged == 4
    assert parse_header(changed(MODERN, hScan2D__logAverageFactor=5), "").n_averaged == 5


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        # Fast volumes of 2016: frames per volume count the discarded ones.
        (
            {
                "hFastZ__enable": 1,
                "hFastZ__numFramesPerVolume": 12,
                "hFastZ__discardFlybackFrames": "true",
                "hFastZ__numDiscardFlybackFrames": 2,
                "hStackManager__numSlices": 10,
            },
            VolumeLayout(n_planes=10, repeats=1, frames_per_volume=12),
        ),
        (
            {
                "hFastZ__enable": "true",
                "hFastZ__numFramesPerVolume": "[]",
                "hFastZ__discardFlybackFrames": "true",
                "hFastZ__numDiscardFlybackFrames": 1,
                "hStackManager__numSlices": 3,
            },
            VolumeLayout(n_planes=3, repeats=1, frames_per_volume=4),
        ),
        # A slow stack stays in a plane; without an end it is a movie with a stale count.
        (
            {"hStackManager__numSlices": 3, "hStackManager__framesPerSlice": 5},
            VolumeLayout(n_planes=3, repeats=5, frames_per_volume=15),
        ),
        ({"hStackManager__numSlices": 3}, VolumeLayout()),
        # Newer versions say it all, if stacks are switched on.
        (
            {
                "hStackManager__enable": "true",
                "hStackManager__actualNumSlices": 3,
                "hStackManager__numSlices": 11,
                "hStackManager__framesPerSlice": 1,
                "hStackManager__numFramesPerVolume": 3,
                "hStackManager__numFramesPerVolumeWithFlyback": 4,
            },
            VolumeLayout(n_planes=3, repeats=1, frames_per_volume=4),
        ),
        (
            {
                "hStackManager__enable": "true",
                "hStackManager__actualNumSlices": 3,
                "hStackManager__numFramesPerVolume": 6,
                "hStackManager__numFramesPerVolumeWithFlyback": 7,
            },
            VolumeLayout(n_planes=3, repeats=2, frames_per_volume=7),
        ),
        (
            {
                "hStackManager__enable": "false",
                "hStackManager__actualNumSlices": 3,
                "hStackManager__numFramesPerVolume": 3,
                "hStackManager__numFramesPerVolumeWithFlyback": 4,
            },
            VolumeLayout(),
        ),
    ],
)
def test_order_of_planes(entries, expected):
    header = parse_header(changed(MODERN, **entries), "")
    assert header.volumes == expected
    assert header.metadata.n_planes == expected.n_planes
    assert header.notes == ()


def test_contradictions_within_a_header_are_noted():
    text = changed(
        MODERN, hFastZ__enable=1, hFastZ__numFramesPerVolume=6, hStackManager__numSlices=3
    )
    assert "3 slices but of 6 frames per volume" in parse_header(text, "").notes[0]
    text = changed(MODERN, hRoiManager__mroiEnable="true")
    header = parse_header(text, "")
    assert "several regions of interest" in header.problem
    assert header.metadata.pixel_size_um is None


def test_text_of_other_programs_is_no_header():
    for text in ("", "ImageJ=1.53\nimages=3\n", '{"shape": [3, 4, 5]}', "SI.unknown = 3", "{"):
        assert parse_header(text, text) is None


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("frameNumbers = 12\nacquisitionNumbers = 1\n", 12),
        ("Frame Number =                5\nFrame Timestamp(s) = 0.1\n", 5),
        ('{\n  "frameNumbers": 7,\n  "epoch": []}', 7),
        ("state.acq.frameRate=8\r", None),
        ("", None),
    ],
)
def test_frame_number(description, expected):
    assert frame_number(description) == expected
