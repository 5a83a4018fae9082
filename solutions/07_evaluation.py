# %% [markdown]
# # Exercises 07: evaluation
#
# Two families of scores: FID compares features of many pictures with those of real ones; mIoU and pixel accuracy ask a
# segmenter whether each class came out where the label map has it.

# %%
import torch
from jaxtyping import Float, Float64, Int64, Integer
from torch import Tensor

from spade_edu.course import plotting as show

# %% [markdown]
# ## 7.1 Mean and covariance of features
#
# FID describes a set of n pictures by the mean and the covariance of their feature vectors. Compute both in float64
# (features come in float32; `features.double()`). The covariance divides by n - 1.


# %% tags=["solution"]
def feature_statistics(features: Float[Tensor, "n d"]) -> tuple[Float64[Tensor, " d"], Float64[Tensor, "d d"]]:
    """Mean and covariance of n feature vectors in float64; the covariance divides by n - 1."""
    features = features.double()
    mean = features.mean(0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)


# %%
# Four made-up features: the second follows the first, the fourth runs against it.
with picture("feature_statistics"):
    torch.manual_seed(0)
    common = torch.randn(200, 1)
    features = torch.cat([common, common, 0 * common, -common], 1) + 0.5 * torch.randn(200, 4)
    show.maps([feature_statistics(features)[1]], ["covariance"], numbers=True)

# %% [markdown]
# **To think about.** What does the covariance of n pictures look like if there are fewer pictures than features? How
# many directions can they spread in?
#
# <details><summary>Answer</summary>It is singular: n pictures spread in at most n - 1 directions, and in all others it
# says 0, which is false.</details>

# %% [markdown]
# ## 7.2 Statistics one batch after the other
#
# Thousands of feature vectors need not be kept: `count`, `mean` and `scatter` (the sum of the products
# $(x - \text{mean})(x - \text{mean})^T$, not divided) can be brought up to date with each batch. With n vectors in the
# batch and `shift` = batch mean - mean:
#
# $$\text{mean}' = \text{mean} + \text{shift} \cdot \frac{n}{\text{count} + n}, \qquad
# \text{scatter}' = \text{scatter} + \text{scatter}_{\text{batch}} +
# \text{shift}\,\text{shift}^T \cdot \frac{\text{count} \cdot n}{\text{count} + n}$$
#
# where scatter_batch is taken about the batch's own mean. At the start `count` is 0, `mean` and `scatter` are zeros.
# Return the new count, mean and scatter as new values; change nothing in place.


# %% tags=["solution"]
def update_statistics(
    count: int, mean: Float64[Tensor, " d"], scatter: Float64[Tensor, "d d"], batch: Float64[Tensor, "n d"]
) -> tuple[int, Float64[Tensor, " d"], Float64[Tensor, "d d"]]:
    """(count, mean, scatter) of everything so far and `batch`; scatter = sum of (x - mean)(x - mean)^T."""
    batch_mean = batch.mean(0)
    centred = batch - batch_mean
    total = count + len(batch)
    shift = batch_mean - mean
    scatter = scatter + centred.T @ centred + torch.outer(shift, shift) * count * len(batch) / total
    return total, mean + shift * len(batch) / total, scatter


# %%
# The variance of a feature as batches come in whose level drifts.
with picture("update_statistics"):
    torch.manual_seed(0)
    state = 0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    variances = []
    for step in range(40):
        state = update_statistics(*state, torch.randn(16, 1, dtype=torch.float64) + step / 10)
        variances.append(float(state[2] / (state[0] - 1)))
    show.curves({"variance so far": variances}, xlabel="batches", ylabel="variance")

# %% [markdown]
# **To think about.** Within a batch the variance is 1 all along. Where does the rest come from, and which term holds
# it?
#
# <details><summary>Answer</summary>From the batches' means, which differ: the term with the squared difference of the
# means holds it.</details>

# %% [markdown]
# ## 7.3 The Fréchet distance
#
# $$|\mu_1 - \mu_2|^2 + \mathrm{tr}\left(C_1 + C_2 - 2\,(C_1^{1/2} C_2\, C_1^{1/2})^{1/2}\right)$$
#
# The root of a symmetric matrix has the same eigenvectors and the roots of the eigenvalues
# (`torch.linalg.eigh`). The trace of a root is the sum of the roots of the eigenvalues (`torch.linalg.eigvalsh`).
# Covariances may be singular: rounding then makes some eigenvalues slightly negative, so cut them off at 0. Return a
# float.


# %% tags=["part"]
# frechet_distance

# %%
# Two samples of the very same Gaussian with 16 features: the distance ought to be 0. It depends on n.
with picture("frechet_distance"):
    torch.manual_seed(0)
    numbers, distances = [20, 40, 80, 160, 320, 640, 1280], []
    for n in numbers:
        x, y = torch.randn(2, n, 16, dtype=torch.float64)
        distances.append(frechet_distance(x.mean(0), x.T.cov(), y.mean(0), y.T.cov()))
    show.curves({"distance": distances}, numbers, xlabel="pictures in each sample", ylabel="Fréchet distance")

# %% [markdown]
# **To think about.** Cityscapes has 500 validation pictures, FID has 2048 features. What follows for two papers that
# compare FID at different numbers of pictures?
#
# <details><summary>Answer</summary>With 500 pictures the covariance is singular and the distance too large, by more the
# fewer there are. Distances at different numbers can't be compared.</details>

# %% [markdown]
# ## 7.4 The confusion matrix
#
# `counts[t, p]` is the number of pixels whose target is class t and whose prediction is p: int64,
# (num_classes, num_classes). Pixels whose target equals `ignored` don't count, whatever was predicted there. On a pixel
# that counts, a prediction outside of 0 ... num_classes - 1 is somebody's mistake: raise a `ValueError`. Ids may
# come as small integers (uint8), which overflow when multiplied: `.long()` helps.


# %% tags=["part"]
# confusion_matrix

# %%
# A toy map in which a third of the cars are taken for road.
names = ["road", "car", "sky"]
target = torch.zeros(1, 8, 8, dtype=torch.long)
target[:, :3], target[:, 4:6, 1:7], target[:, 7] = 2, 1, 255
prediction = target.clamp(max=2)
prediction[:, 4:6, 1:3] = 0
with picture("confusion_matrix"):
    show.maps([confusion_matrix(prediction, target, 3, 255)], ["rows: target; columns: predicted"], numbers=True,
              diverging=False)  # fmt: skip

# %% [markdown]
# **To think about.** What would the matrix look like if void (255, the bottom row of the map) had been counted as the
# last class?
#
# <details><summary>Answer</summary>Road, or whatever class is last, would have a row with all the wrong guesses of
# void, and its IoU would fall without any mistake of the generator's.</details>

# %% [markdown]
# ## 7.5 mIoU from the confusion matrix
#
# The IoU of a class is hits / (pixels in the target + pixels predicted - hits), with rows for the target and columns
# for the prediction. Average it over the classes that occur in the target or in the prediction; a class that is nowhere
# has no IoU and is left out. With no pixel at all the result is nan. Return a float between 0 and 1.


# %% tags=["part"]
# mean_iou

# %%
# What happens to the score as more and more of the cars are taken for road.
with picture("mean_iou"):
    scores = [mean_iou(torch.tensor([[900, 0], [missed, 60 - missed]])) for missed in range(61)]
    show.curves({"mIoU": scores}, xlabel="pixels of the car that are missed, of 60", ylabel="mIoU")

# %% [markdown]
# **To think about.** Data sets differ in what becomes of an absent class: left out, or counted as 0. By how much can
# that move the mean for one picture that shows 5 of 150 classes?
#
# <details><summary>Answer</summary>From the mean over 5 classes to the same sum over 150: a thirtieth of it.</details>

# %% [markdown]
# ## 7.6 Pixel accuracy
#
# The share of right pixels among those whose target isn't `ignored`, over the whole batch at once; nan if no pixel
# counts. Return a float.


# %% tags=["solution"]
def pixel_accuracy(prediction: Integer[Tensor, "n h w"], target: Integer[Tensor, "n h w"], ignored: int) -> float:
    """Share of right pixels among those whose target isn't `ignored`, over the whole batch; nan if none counts."""
    counted = target != ignored
    return (prediction == target)[counted].double().mean().item()


# %%
# The same cars, the other score: it hardly notices.
with picture("pixel_accuracy"):
    target = torch.cat([torch.zeros(900), torch.ones(60)]).long().view(1, 1, -1)
    predictions = [torch.where(torch.arange(960) < 900 + missed, 0, 1).view(1, 1, -1) for missed in range(61)]
    scores = [pixel_accuracy(prediction, target, 255) for prediction in predictions]
    found = [1 - missed / 60 for missed in range(61)]
    show.curves({"pixel accuracy": scores, "share of the car that is found": found},
                xlabel="pixels of the car that are missed, of 60", ylabel="score")  # fmt: skip

# %% [markdown]
# **To think about.** A generator that paints only road and sky gets a good accuracy on street scenes. Which score
# tells, and what does neither of the two see?
#
# <details><summary>Answer</summary>mIoU: the classes that are missing have 0 and count as much as road. Neither sees
# whether the pictures look real, or all alike.</details>

# %%
progress()
