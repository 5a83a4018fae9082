"""Typical answers to the exercises of stage 07: wrong ones with what they are told, right ones in another style."""

import numpy as np
import torch
from scipy.linalg import sqrtm

from spade_edu.evaluation import frechet, segmentation

# --- statistics ---


def statistics(cov, convert=torch.Tensor.double):
    return lambda features: (convert(features).mean(0), cov(convert(features)))


def merged_with(scatter_of, mean_of=None):
    """The update of the statistics, with another scatter or mean."""

    def answer(count, mean, scatter, batch):
        n, m = len(batch), batch.mean(0)
        new_mean = (count * mean + n * m) / (count + n) if mean_of is None else mean_of(count, mean, n, m)
        return count + n, new_mean, scatter_of(count, mean, scatter, batch, n, m)

    return answer


def about(x, centre):
    return (x - centre).T @ (x - centre)


def between(count, mean, n, m):
    return torch.outer(m - mean, m - mean) * count * n / (count + n)


def right_scatter(count, mean, scatter, batch, n, m):
    return scatter + about(batch, m) + between(count, mean, n, m)


def by_second_moments(count, mean, scatter, batch):
    """From the sums of x and x x^T."""
    total = count + len(batch)
    sums, squares = count * mean + batch.sum(0), scatter + count * torch.outer(mean, mean) + batch.T @ batch
    return total, sums / total, squares - torch.outer(sums, sums) / total


def by_package(count, mean, scatter, batch):
    statistics = frechet.FeatureStatistics("any")
    if count:
        statistics.n, statistics.mean, statistics.scatter = count, mean, scatter.clone()
    statistics.update(batch)
    return statistics.n, statistics.mean, statistics.scatter


# --- Fréchet distance ---


def distance(overlap, means=lambda a, b: (a - b).square().sum()):
    return lambda mu1, c1, mu2, c2: float(means(mu1, mu2) + torch.trace(c1 + c2) - 2 * overlap(c1, c2))


def root(c):
    values, vectors = torch.linalg.eigh(c)
    return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T


def overlap(c1, c2):
    return torch.linalg.svdvals(root(c1) @ root(c2)).sum()


def by_scipy(mu1, cov1, mu2, cov2):
    product = sqrtm(cov1.numpy() @ cov2.numpy())
    if not np.isfinite(product).all():
        offset = 1e-6 * np.eye(len(mu1))
        product = sqrtm((cov1.numpy() + offset) @ (cov2.numpy() + offset))
    return ((mu1 - mu2) ** 2).sum().item() + np.trace(cov1.numpy() + cov2.numpy() - 2 * product.real)


def by_general_eigenvalues(mu1, cov1, mu2, cov2):
    values = torch.linalg.eigvals(cov1 @ cov2).real.clamp(min=0)
    return (mu1 - mu2).pow(2).sum() + cov1.trace() + cov2.trace() - 2 * values.sqrt().sum()


# --- confusion matrix ---


def counted_by(keep, check_range=True, finish=lambda counts: counts):
    def answer(prediction, target, num_classes, ignored):
        prediction, target = prediction.long(), target.long()
        mask = keep(prediction, target, num_classes, ignored)
        p, t = prediction[mask], target[mask]
        if check_range and len(p) and (p.min() < 0 or p.max() >= num_classes):
            raise ValueError("prediction")
        counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        for i, j in zip(t.tolist(), p.tolist()):
            counts[i, j] += 1
        return finish(counts)

    return answer


def by_target(prediction, target, num_classes, ignored):
    return target != ignored


def each_pair_once(prediction, target, num_classes, ignored):
    mask = target != ignored
    p, t = prediction[mask].long(), target[mask].long()
    if ((p < 0) | (p >= num_classes)).any():
        raise ValueError
    counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    counts[t, p] += 1
    return counts


def next_row(prediction, target, num_classes, ignored):
    mask = target != ignored
    pairs = target[mask].long() * num_classes + prediction[mask].long()
    return torch.bincount(pairs.clamp(min=0), minlength=num_classes**2)[: num_classes**2].view(num_classes, -1)


def small_integers(prediction, target, num_classes, ignored):
    mask = target != ignored
    t, p = target[mask], prediction[mask]
    if ((p < 0) | (p >= num_classes)).any():
        raise ValueError
    return torch.bincount(t * num_classes + p, minlength=num_classes**2).view(num_classes, num_classes)


def void_as_last(prediction, target, num_classes, ignored):
    target = torch.where(target == ignored, num_classes - 1, target.long())
    return counted_by(lambda p, t, n, i: (p >= 0) & (p < n), False)(prediction, target, num_classes, ignored)


def by_histogram(prediction, target, num_classes, ignored):
    mask = (target != ignored).numpy()
    p, t = prediction.numpy()[mask].astype(int), target.numpy()[mask].astype(int)
    if p.size and (p.min() < 0 or p.max() >= num_classes):
        raise ValueError
    bins = np.arange(num_classes + 1)
    return torch.from_numpy(np.histogram2d(t, p, (bins, bins))[0]).long()


def packaged_matrix(prediction, target, num_classes, ignored):
    matrix = segmentation.ConfusionMatrix(num_classes, [ignored])
    matrix.update(prediction, target)
    return matrix.counts


# --- scores ---


def iou(union, average):
    def answer(counts):
        hits = counts.diag().double()
        return average(hits / union(hits, counts.sum(1), counts.sum(0)))

    return answer


def proper_union(hits, target, predicted):
    return target + predicted - hits


def by_loop(counts):
    found = []
    for k in range(len(counts)):
        union = counts[k, :].sum() + counts[:, k].sum() - counts[k, k]
        if union > 0:
            found.append(counts[k, k].item() / union.item())
    return sum(found) / len(found) if found else float("nan")


def score_of_matrix(counts):
    matrix = segmentation.ConfusionMatrix(len(counts))
    matrix.counts = counts
    return matrix.miou()


def per_picture(prediction, target, ignored):
    scores = [(p == t)[t != ignored].double().mean() for p, t in zip(prediction, target)]
    return torch.stack(scores).nanmean().item()


def share(prediction, target, ignored):
    counted = target != ignored
    right = ((prediction == target) & counted).sum().item()
    return right / counted.sum().item() if counted.any() else float("nan")


def updated(centre="batch", weight=lambda count, n: count * n / (count + n), between=torch.outer, share=None):
    """update_statistics with the batch about another centre, or another weight or product of the shift."""

    def answer(count, mean, scatter, batch):
        n, own = len(batch), batch.mean(0)
        shift = own - mean
        new = mean + shift * (share or (lambda c, k: k / (c + k)))(count, n)
        centred = batch - {"batch": own, "old": mean, "new": new, "none": 0 * own}[centre]
        return count + n, new, scatter + centred.T @ centred + between(shift, shift) * weight(count, n)

    return answer


def distance_with(eigenvalues):
    """The Fréchet distance with `eigenvalues(cov1, cov2)` under the last root."""
    return lambda mu1, cov1, mu2, cov2: float(
        (mu1 - mu2).square().sum() + (cov1 + cov2).trace() - 2 * eigenvalues(cov1, cov2).clamp(min=0).sqrt().sum()
    )


def transposed_root(cov1, cov2):
    values, vectors = torch.linalg.eigh(cov1)
    root = vectors.T @ torch.diag(values.clamp(min=0).sqrt()) @ vectors
    return torch.linalg.eigvalsh(root @ cov2 @ root)


def unclamped_root(cov1, cov2):
    values, vectors = torch.linalg.eigh(cov1)
    root = vectors * values.sqrt() @ vectors.T
    return torch.linalg.eigvalsh(root @ cov2 @ root)


def iou_over(kept):
    def answer(counts):
        hits, target, predicted = counts.diag(), counts.sum(1), counts.sum(0)
        return (hits / (target + predicted - hits))[kept(target, predicted)].mean().item()

    return answer


WRONG = [
    ("feature_statistics", lambda f: (f.mean(0).double(), f.T.cov().double()), "when the digits are lost"),
    ("update_statistics", updated("old"), "holds the distance of the means already"),
    ("update_statistics", updated("new"), "holds part of the distance"),
    ("update_statistics", updated("none"), "own mean isn't subtracted"),
    ("update_statistics", updated(weight=lambda c, n: n / (c + n)), "yours lacks the count"),
    ("update_statistics", updated(weight=lambda c, n: c * n), "yours isn't divided"),
    ("update_statistics", updated(weight=lambda c, n: 1), "yours is 1"),
    ("update_statistics", updated(between=torch.mul), "added to every row"),
    ("update_statistics", updated(share=lambda c, n: c / (c + n)), "you took the other share"),
    ("update_statistics", updated(share=lambda c, n: 1), "The mean is that of the batch alone"),
    ("update_statistics", lambda c, m, s, b: (len(b), *updated()(c, m, s, b)[1:]), "The count is that of the batch"),
    ("frechet_distance", distance_with(transposed_root), "yours has the T in front"),
    ("frechet_distance", distance_with(lambda a, b: torch.linalg.eigvalsh(a @ b)), "isn't symmetric"),
    ("frechet_distance", distance_with(lambda a, b: torch.linalg.eigvalsh(a @ b @ a)), "it is the root of C1"),
    ("frechet_distance", distance_with(unclamped_root), "root of a number just below 0"),
    ("mean_iou", iou_over(lambda target, predicted: predicted > 0), "never predicted is left out"),
    ("mean_iou", iou_over(lambda target, predicted: (predicted > 0) & (target > 0)), "one of the two is enough"),
    ("mean_iou", lambda counts: (counts.diag().sum() / counts.sum()).item(), "share of right pixels"),
    ("mean_iou", lambda c: (c.diag() / c.sum(1))[c.sum(1) + c.sum(0) > 0].mean().item(), "its recall, and 0 / 0"),
    ("mean_iou", lambda c: (c.diag() / c.sum(0))[c.sum(1) + c.sum(0) > 0].mean().item(), "its precision, and 0 / 0"),
    ("mean_iou", lambda counts: [0.5], "Return a number"),
    ("pixel_accuracy", lambda p, t, i: ((p == t).sum() / (t != i).sum()).item(), "counted on void too"),
    ("feature_statistics", statistics(lambda x: x.T.cov(correction=0)), "divides by n;"),
    ("feature_statistics", statistics(torch.cov), "torch.cov wants the features in the rows"),
    ("feature_statistics", statistics(lambda x: x.T.cov(), lambda x: x), "float32"),
    ("feature_statistics", statistics(lambda x: x.T @ x / (len(x) - 1)), "isn't subtracted"),
    ("feature_statistics", statistics(lambda x: x.T.corrcoef()), "That is the correlation"),
    ("feature_statistics", statistics(lambda x: x.var(0)), "has shape"),
    ("update_statistics", merged_with(lambda c, mean, s, x, n, m: s + about(x, m)), "distance of the two means"),
    ("update_statistics", merged_with(lambda c, mean, s, x, n, m: s + about(x, mean)), "centred on the old mean"),
    ("update_statistics", merged_with(right_scatter, lambda c, mean, n, m: (mean + m) / 2), "averaged as if both"),
    ("update_statistics", merged_with(lambda c, mean, s, x, n, m: s + about(x, m) / n + between(c, mean, n, m)),
     "divided by n;"),
    ("update_statistics", lambda c, mean, s, x: (c + 1, *by_second_moments(c, mean, s, x)[1:]), "expected"),
    ("frechet_distance", distance(lambda a, b: (a @ b).clamp(min=0).sqrt().trace()), "root of each entry"),
    ("frechet_distance", distance(lambda a, b: (root(a) @ root(b)).trace()), "You multiply the roots"),
    ("frechet_distance", distance(overlap, lambda a, b: (a - b).norm()), "enters squared"),
    ("frechet_distance", distance(lambda a, b: overlap(a, b) / 2), "factor 2"),
    ("frechet_distance", distance(lambda a, b: 0.0), "distance of a set to itself must be 0"),
    ("frechet_distance", lambda *a: max(distance(overlap)(*a), 0) ** 0.5, "squared distance"),
    ("frechet_distance", distance(lambda a, b: (torch.linalg.cholesky(a) @ torch.linalg.cholesky(b)).trace()), "is 1"),
    ("frechet_distance", distance(lambda a, b: (a.sqrt() @ b @ a.sqrt()).sqrt().trace()), "is nan; expected"),
    ("confusion_matrix", counted_by(by_target, finish=lambda c: c.T), "Rows and columns are exchanged"),
    ("confusion_matrix", void_as_last, "void (255) were counted"),
    ("confusion_matrix", each_pair_once, "counted once"),
    ("confusion_matrix", small_integers, "overflow"),
    ("confusion_matrix", next_row, "lands in the next row"),
    ("confusion_matrix", counted_by(lambda p, t, n, i: t < n, False), ""),
    ("confusion_matrix", counted_by(lambda p, t, n, i: (t >= 0) & (t < n)), "0, in one of the cases"),
    ("confusion_matrix", counted_by(lambda p, t, n, i: (t != i) & (p >= 0) & (p < n)), "left out without a word"),
    ("confusion_matrix", counted_by(by_target, finish=torch.Tensor.float), "floats"),
    ("mean_iou", iou(proper_union, lambda v: v.nan_to_num(0).mean().item()), "counts as 0"),
    ("mean_iou", iou(proper_union, lambda v: v.mean().item()), "makes the mean nan"),
    ("mean_iou", iou(lambda h, t, p: t + p, lambda v: v.nanmean().item()), "hits count twice"),
    ("mean_iou", iou(lambda h, t, p: t, lambda v: v.nanmean().item()), "recall"),
    ("mean_iou", lambda c: (c.diag().sum() / (c.sum() * 2 - c.diag().sum())).item(), "added up first"),
    ("mean_iou", iou(proper_union, lambda v: v[v > 0].mean().item()), "without a hit"),
    ("mean_iou", iou(proper_union, lambda v: v), "one number"),
    ("pixel_accuracy", lambda p, t, ignored: (p == t).double().mean().item(), "Void pixels"),
    ("pixel_accuracy", lambda p, t, i: ((p == t) & (t != i)).double().mean().item(), "Void pixels count as wrong"),
    ("pixel_accuracy", per_picture, "Each picture's accuracy"),
    ("pixel_accuracy", lambda p, t, ignored: share(p, t, 255), "always take 255"),
    ("pixel_accuracy", lambda p, t, i: share(p, t, i) if (t != i).any() else 0.0, "is nan, not 0"),
    ("pixel_accuracy", lambda p, t, i: share(p, torch.where(p == i, i, t), i), "predicted as void"),
]  # fmt: skip
RIGHT = [
    ("feature_statistics", statistics(lambda x: x.T.cov())),
    ("feature_statistics", lambda x: (x.double().mean(0), torch.from_numpy(np.cov(x.double().numpy(), rowvar=False)))),
    ("update_statistics", by_second_moments),
    ("update_statistics", by_package),
    ("frechet_distance", frechet.frechet_distance),
    ("frechet_distance", by_scipy),
    ("frechet_distance", by_general_eigenvalues),
    ("confusion_matrix", counted_by(by_target)),
    ("confusion_matrix", by_histogram),
    ("confusion_matrix", packaged_matrix),
    ("mean_iou", by_loop),
    ("mean_iou", score_of_matrix),
    ("mean_iou", iou(proper_union, torch.nanmean)),
    ("pixel_accuracy", share),
    ("pixel_accuracy", lambda p, t, i: np.float64(share(p, t, i))),
]  # fmt: skip
