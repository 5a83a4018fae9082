"""docs/paper-vs-code.md names every option of the official scripts once, and settings that exist."""

import re
from dataclasses import fields
from pathlib import Path

from spade_edu.config import TrainingConfig

PAGE = (Path(__file__).parents[1] / "docs" / "paper-vs-code.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## Options of the official scripts")[2].partition("\n## ")[0]
# Of options/*.py, models/networks/*.py and data/*.py, read at the last commit (2 September 2021).
OPTIONS = """
    name gpu_ids checkpoints_dir model norm_G norm_D norm_E phase batchSize preprocess_mode load_size crop_size
    aspect_ratio label_nc contain_dontcare_label output_nc dataroot dataset_mode serial_batches no_flip nThreads
    max_dataset_size load_from_opt_file cache_filelist_write cache_filelist_read display_winsize netG ngf init_type
    init_variance z_dim no_instance nef use_vae display_freq print_freq save_latest_freq save_epoch_freq no_html debug
    tf_log continue_train which_epoch niter niter_decay optimizer beta1 beta2 no_TTUR lr D_steps_per_G ndf lambda_feat
    lambda_vgg no_ganFeat_loss no_vgg_loss gan_mode netD lambda_kld results_dir how_many coco_no_portraits label_dir
    image_dir instance_dir no_pairing_check netD_subarch num_D n_layers_D num_upsampling_layers resnet_n_downsample
    resnet_n_blocks resnet_kernel_size resnet_initial_kernel_size
"""


def test_every_official_option_stands_in_the_first_column_once():
    firsts = [row.split("|")[1] for row in TABLE.splitlines() if row.startswith("| `")]
    named = [name for first in firsts for name in re.findall(r"`--(\w+)`", first)]
    assert sorted(named) == sorted(OPTIONS.split())


def test_every_setting_in_the_last_column_exists():
    settings = set(re.findall(r"--set (\w+)", TABLE))
    assert len(settings) > 20 and settings <= {field.name for field in fields(TrainingConfig)}
