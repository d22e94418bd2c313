// SPDX-License-Identifier: GPL-2.0
/*
 * Tell those who watch a device's node of what is done by number.
 *
 * udev watches the node, in devtmpfs, of each disk, to look again at what is on
 * it when somebody who could have written has closed it.  Of a file that was
 * opened through a diskseqfs, inotify and its like hear at its own inode only.
 * So there is a mark on that, like the one of somebody who watches, and what
 * it is told of is told at the node: just what would have been if that had
 * been opened, whatever it is done with.
 */
#include <linux/blkdev.h>
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/mount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "blk.h"

#define DISKSEQFS_CLOSE		(FS_CLOSE_WRITE | FS_CLOSE_NOWRITE)
#define DISKSEQFS_EVENTS	(FS_OPEN | FS_ACCESS | FS_MODIFY | DISKSEQFS_CLOSE)

struct diskseqfs_watch {
	struct fsnotify_mark	mark;
	/* Protects the rest */
	spinlock_t		lock;
	/*
	 * Files that are open, all of one block device: the number is that of
	 * one disk, and a partition that is open is not replaced.
	 */
	unsigned int		files;
	/* Its node, as it would be held by them, or %NULL */
	struct dentry		*node;
};

static struct fsnotify_group *diskseqfs_group __ro_after_init;
static struct vfsmount *diskseqfs_devtmpfs __ro_after_init;
static struct kmem_cache *diskseqfs_watch_cachep __ro_after_init;

static struct diskseqfs_watch *mark_to_watch(struct fsnotify_mark *mark)
{
	return container_of(mark, struct diskseqfs_watch, mark);
}

static int diskseqfs_handle_event(struct fsnotify_mark *mark, u32 mask,
				  struct inode *inode, struct inode *dir,
				  const struct qstr *name, u32 cookie)
{
	struct diskseqfs_watch *watch = mark_to_watch(mark);
	struct path node = { .mnt = diskseqfs_devtmpfs };
	struct dentry *last = NULL;

	spin_lock(&watch->lock);
	node.dentry = dget(watch->node);
	/* Of each file that diskseqfs_notify_opened() has counted there is one. */
	if (mask & DISKSEQFS_CLOSE && !--watch->files)
		swap(watch->node, last);
	spin_unlock(&watch->lock);

	if (node.dentry)
		fsnotify_path(&node, mask & DISKSEQFS_EVENTS);
	dput(node.dentry);
	dput(last);
	return 0;
}

static void diskseqfs_free_mark(struct fsnotify_mark *mark)
{
	struct diskseqfs_watch *watch = mark_to_watch(mark);

	/* Each file has told of its close. */
	WARN_ON_ONCE(watch->node);
	kmem_cache_free(diskseqfs_watch_cachep, watch);
}

static const struct fsnotify_ops diskseqfs_fsnotify_ops = {
	.handle_inode_event	= diskseqfs_handle_event,
	.free_mark		= diskseqfs_free_mark,
};

/* With a reference to its mark */
static struct diskseqfs_watch *diskseqfs_get_watch(struct inode *inode)
{
	struct diskseqfs_watch *watch;
	struct fsnotify_mark *mark;
	int err;

	do {
		mark = fsnotify_find_inode_mark(inode, diskseqfs_group);
		if (mark) {
			/*
			 * Who adds it has put it into the list, but maybe not
			 * yet into what is asked first for each event.
			 */
			if (DISKSEQFS_EVENTS & ~READ_ONCE(inode->i_fsnotify_mask)) {
				fsnotify_group_lock(diskseqfs_group);
				fsnotify_group_unlock(diskseqfs_group);
			}
			return mark_to_watch(mark);
		}

		watch = kmem_cache_zalloc(diskseqfs_watch_cachep, GFP_KERNEL);
		if (!watch)
			return ERR_PTR(-ENOMEM);
		spin_lock_init(&watch->lock);
		fsnotify_init_mark(&watch->mark, diskseqfs_group);
		watch->mark.mask = DISKSEQFS_EVENTS;
		/* It goes with the inode, and does not keep it. */
		watch->mark.flags |= FSNOTIFY_MARK_FLAG_NO_IREF;
		err = fsnotify_add_inode_mark(&watch->mark, inode, 0);
		if (!err)
			return watch;
		fsnotify_put_mark(&watch->mark);
	} while (err == -EEXIST);
	return ERR_PTR(err);
}

/*
 * The node that devtmpfs has made of an open block device, or %NULL.  Not by a walk
 * of its path: who may open the entry need not be let into all of /dev.
 */
static struct dentry *diskseqfs_get_node(struct block_device *bdev)
{
	struct gendisk *disk = bdev->bd_disk;
	struct dentry *dentry, *parent;
	char *devnode = NULL;
	struct inode *inode;
	const char *name;
	struct qstr this;
	umode_t mode = 0;

	if (!bdev_is_partition(bdev) && disk->fops->devnode)
		devnode = disk->fops->devnode(disk, &mode);
	name = devnode ?: dev_name(&bdev->bd_device);

	dentry = dget(diskseqfs_devtmpfs->mnt_root);
	while (dentry && *name) {
		this.name = name;
		/* The driver core has '!' for '/'. */
		this.len = strcspn(name, "!/");
		this.hash = full_name_hash(dentry, this.name, this.len);
		parent = dentry;
		/* What there is in devtmpfs is in the cache. */
		dentry = d_lookup(parent, &this);
		dput(parent);
		name += this.len;
		if (*name)
			name++;
	}
	kfree(devnode);
	if (!dentry)
		return NULL;

	/*
	 * It may have been put elsewhere by hand.  And if the device is gone by
	 * now, its name may have been that of the next one already.
	 */
	inode = d_inode(dentry);
	if (inode && S_ISBLK(inode->i_mode) &&
	    inode->i_rdev == bdev->bd_dev &&
	    !inode_unhashed(bdev->bd_mapping->host))
		return dentry;
	dput(dentry);
	return NULL;
}

/**
 * diskseqfs_notify_opened - have a file tell at the device's node
 * @inode: an entry of a diskseqfs
 * @filp: a file of it, by which the block device has just been opened
 *
 * From now on, to its close, which is told as well.
 *
 * Context: Process context, may sleep.
 * Return: 0, or -ENOMEM.
 */
int diskseqfs_notify_opened(struct inode *inode, struct file *filp)
{
	struct diskseqfs_watch *watch;
	struct dentry *node;

	/* Of a file that fanotify has opened there are no events. */
	if (!diskseqfs_group || FMODE_FSNOTIFY_NONE(filp->f_mode))
		return 0;

	watch = diskseqfs_get_watch(inode);
	if (IS_ERR(watch))
		return PTR_ERR(watch);

	node = diskseqfs_get_node(file_bdev(filp));
	spin_lock(&watch->lock);
	watch->files++;
	if (!watch->node)
		swap(watch->node, node);
	spin_unlock(&watch->lock);
	dput(node);
	fsnotify_put_mark(&watch->mark);
	return 0;
}

static int __init diskseqfs_notify_init(void)
{
	struct file_system_type *type = get_fs_type("devtmpfs");
	struct fsnotify_group *group;
	struct vfsmount *mnt;

	/* It has failed, and said so. */
	if (!type)
		return 0;
	mnt = kern_mount(type);
	put_filesystem(type);
	if (IS_ERR(mnt))
		return PTR_ERR(mnt);

	group = fsnotify_alloc_group(&diskseqfs_fsnotify_ops, 0);
	if (IS_ERR(group)) {
		kern_unmount(mnt);
		return PTR_ERR(group);
	}
	diskseqfs_watch_cachep = KMEM_CACHE(diskseqfs_watch, SLAB_PANIC);
	diskseqfs_devtmpfs = mnt;
	diskseqfs_group = group;
	return 0;
}
fs_initcall(diskseqfs_notify_init);
