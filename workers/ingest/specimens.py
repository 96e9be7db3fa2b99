"""Small files of every type that is read, so that every reader has run before it is confined."""

from collections.abc import Iterator
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.ingest.decode import learn_heif
from workers.ingest.sniff import can_read


def head() -> NDArray[np.uint8]:
    """Something that looks like a head: 512 x 512 x 3."""
    scan = np.zeros((512, 512), np.uint8)
    cv2.ellipse(scan, (256, 256), (150, 190), 0, 0, 360, 120, cv2.FILLED)
    scan[::9, ::7] //= 2
    return np.repeat(scan[..., None], 3, 2)


def files() -> Iterator[bytes]:
    """One of each type, as far as this installation reads it."""
    for suffix in (".jpg", ".png", ".webp"):
        yield cv2.imencode(suffix, head())[1].tobytes()
    if can_read("heic"):
        learn_heif()  # nothing here could write one
    if can_read("dicom"):
        yield from dicom_files()


def dicom_files() -> Iterator[bytes]:
    """The same head, plain and in each compression."""
    from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

    for syntax in (ExplicitVRLittleEndian, RLELossless):
        yield dicom_file(head()[..., 0], syntax)
    for suffix, syntax in ((".jpg", JPEGBaseline8Bit), (".jp2", JPEG2000Lossless)):
        frame = cv2.imencode(suffix, head()[..., 0])[1].tobytes()
        yield dicom_file(head()[..., 0], syntax, frame)


def dicom_file(
    pixels: NDArray[np.integer], syntax: str, frame: bytes = b"", **more: object
) -> bytes:
    """A DICOM file of grey pixels; `frame` is them already compressed, `more` are further elements."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID, ExplicitVRBigEndian, MRImageStorage, RLELossless, generate_uid

    scan, depth = Dataset(), pixels.dtype.itemsize * 8
    scan.file_meta = FileMetaDataset()
    scan.file_meta.TransferSyntaxUID = UID(syntax)
    scan.file_meta.MediaStorageSOPClassUID = scan.SOPClassUID = MRImageStorage
    scan.file_meta.MediaStorageSOPInstanceUID = scan.SOPInstanceUID = generate_uid()
    scan.Rows, scan.Columns = pixels.shape
    scan.SamplesPerPixel, scan.PhotometricInterpretation = 1, "MONOCHROME2"
    scan.BitsAllocated = scan.BitsStored = depth
    scan.HighBit, scan.PixelRepresentation = depth - 1, int(pixels.dtype.kind == "i")
    if syntax == RLELossless:
        scan.compress(RLELossless, pixels)
    else:
        swapped = pixels.byteswap() if syntax == ExplicitVRBigEndian else pixels
        scan.PixelData = encapsulate([frame]) if frame else swapped.tobytes()
        scan["PixelData"].is_undefined_length = bool(frame)
    for keyword, value in more.items():
        setattr(scan, keyword, value)
    out = BytesIO()
    scan.save_as(out, enforce_file_format=True)
    return out.getvalue()
