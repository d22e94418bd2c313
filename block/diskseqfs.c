// SPDX-License-Identifier: GPL-2.0
/*
 * diskseqfs - a directory of all disks, by sequence number.
 *
 * Its entries are block special files, so permissions, LSMs, auditing, the
 * device cgroup and nodev apply as they do to a device node.  What is its own
 * is that an entry opens the disk that has the number of its name, or nothing.
 *
 * See Documentation/filesystems/diskseqfs.rst.
 */
#include <linux/blkdev.h>
#include <linux/exportfs.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/idr.h>
#include <linux/magic.h>
#include <linux/namei.h>
#include <linux/posix_acl.h>
#include <linux/refcount.h>
#include <linux/seq_file.h>
#include <linux/seqlock.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/workqueue.h>
#include <linux/xattr.h>

#include "blk.h"

#define DISKSEQFS_ROOT_INO	1
#define DISKSEQFS_DEFAULT_MODE	0600

/* Owner and mode of every entry of which they have not been set by hand */
struct diskseqfs_opts {
	kuid_t		uid;
	kgid_t		gid;
	umode_t		mode;
};

/*
 * Protects the options in use, and the owner, mode and ACL of entries, which are
 * read as one: never the owner of after a remount with the mode of before it.
 * Inside it, s_inode_list_lock and i_lock.
 */
static DEFINE_SEQLOCK(diskseqfs_opts_lock);

/*
 * What the inode numbers of a disk's entries are made of.  The number of the disk
 * would do, but not in 32 bits, which is all that a program without support for
 * large files can take, and a card reader can use up 2^24 of them.  So this one
 * is used again, once neither a disk nor an inode has it any more.
 */
struct diskseqfs_id {
	u64			diskseq;
	unsigned int		id;
	/* Of the disk, while it has the number, and of each inode */
	refcount_t		refs;
};

#define DISKSEQFS_INO_SHIFT	8
#define DISKSEQFS_ID_MAX	(U32_MAX >> DISKSEQFS_INO_SHIFT)

static DEFINE_IDA(diskseqfs_ida);

struct diskseqfs_inode {
	u64			diskseq;
	u8			partno;
	/* Where the partition begins, which it is known by, or 0 */
	sector_t		start;
	struct diskseqfs_id	*id;
	/* In diskseqfs_inodes of the disk, or in diskseqfs_retired */
	struct hlist_node	node;
	/* In diskseqfs_kept, with a reference, if something is set by hand */
	struct hlist_node	kept;
	/* The name is not that of the inode any more, and will not be again */
	bool			retired;
	/* Which of ATTR_MODE, ATTR_UID and ATTR_GID have been set by hand */
	unsigned int		own;
	struct simple_xattrs	xattrs;
	struct inode		vfs_inode;
};

/*
 * Protects diskseqfs_id of disks, the lists of inodes, and the mark that one is
 * retired; inside it, i_lock.
 */
static DEFINE_SPINLOCK(diskseqfs_lock);
/* Inodes whose number is gone, until diskseqfs_prune_work has seen to them */
static HLIST_HEAD(diskseqfs_retired);
/* Inodes that stay although nobody has them in use, see diskseqfs_keep() */
static HLIST_HEAD(diskseqfs_kept);

static struct kmem_cache *diskseqfs_inode_cachep __ro_after_init;

static struct diskseqfs_inode *DISKSEQFS_I(const struct inode *inode)
{
	return container_of(inode, struct diskseqfs_inode, vfs_inode);
}

static void diskseqfs_put_id(struct diskseqfs_id *id)
{
	if (id && refcount_dec_and_test(&id->refs)) {
		ida_free(&diskseqfs_ida, id->id);
		kfree(id);
	}
}

/*
 * The id of a number, with a reference to it.  If the disk has none yet it gets
 * @new, which is put otherwise, or %NULL is returned if that is %NULL.
 */
static struct diskseqfs_id *diskseqfs_share_id(u64 diskseq,
					       struct diskseqfs_id *new)
{
	struct diskseqfs_id *id = ERR_PTR(-ENOENT);
	struct gendisk *disk;

	spin_lock(&diskseqfs_lock);
	rcu_read_lock();
	disk = diskseq_find(diskseq);
	if (disk) {
		id = disk->diskseqfs_id;
		/* Or has it that of a number that is about to be retired? */
		if (!id || id->diskseq != diskseq) {
			id = new;
			if (new)
				swap(disk->diskseqfs_id, new);
		}
		if (id)
			refcount_inc(&id->refs);
	}
	rcu_read_unlock();
	spin_unlock(&diskseqfs_lock);
	diskseqfs_put_id(new);
	return id;
}

static struct diskseqfs_id *diskseqfs_get_id(u64 diskseq)
{
	struct diskseqfs_id *id;
	int ret;

	id = diskseqfs_share_id(diskseq, NULL);
	if (id)
		return id;

	id = kmalloc(sizeof(*id), GFP_KERNEL);
	if (!id)
		return ERR_PTR(-ENOMEM);
	/* 0 is that of the root. */
	ret = ida_alloc_range(&diskseqfs_ida, 1, DISKSEQFS_ID_MAX, GFP_KERNEL);
	if (ret < 0) {
		kfree(id);
		return ERR_PTR(ret);
	}
	id->diskseq = diskseq;
	id->id = ret;
	refcount_set(&id->refs, 1);
	return diskseqfs_share_id(diskseq, id);
}

static u32 diskseqfs_ino(const struct diskseqfs_id *id, u8 partno)
{
	return id->id << DISKSEQFS_INO_SHIFT | partno;
}

/* Is something set by hand? */
static bool diskseqfs_is_kept(const struct inode *inode)
{
	return !hlist_unhashed_lockless(&DISKSEQFS_I(inode)->kept);
}

static bool diskseqfs_inode_valid(const struct inode *inode)
{
	const struct diskseqfs_inode *di = DISKSEQFS_I(inode);
	sector_t start = 0;

	return !READ_ONCE(di->retired) &&
	       diskseq_devt(di->diskseq, di->partno, &start) == inode->i_rdev &&
	       start == di->start;
}

/*
 * Something is set by hand: have the inode stay as it is, although nobody may have
 * it in use, for as long as its number lives.  There is at most one for each disk
 * and partition in a file system, and that is what bounds them.
 */
static int diskseqfs_keep(struct inode *inode)
{
	struct diskseqfs_inode *di = DISKSEQFS_I(inode);
	int err = 0;

	lockdep_assert_held_write(&inode->i_rwsem);

	if (!diskseqfs_inode_valid(inode))
		return -ESTALE;

	spin_lock(&diskseqfs_lock);
	if (di->retired) {
		err = -ESTALE;
	} else if (hlist_unhashed(&di->kept)) {
		hlist_add_head(&di->kept, &diskseqfs_kept);
		ihold(inode);
	}
	spin_unlock(&diskseqfs_lock);
	return err;
}

/* Let go of what diskseqfs_keep() keeps, and will not any more. */
static void diskseqfs_forget(struct inode *inode)
{
	struct diskseqfs_inode *di = DISKSEQFS_I(inode);
	bool kept;

	spin_lock(&diskseqfs_lock);
	WRITE_ONCE(di->retired, true);
	kept = !hlist_unhashed(&di->kept);
	hlist_del_init(&di->kept);
	spin_unlock(&diskseqfs_lock);
	if (kept)
		iput(inode);
}

/*
 * Forget dentries of a number that no disk will ever have again: a card reader
 * takes a new number for each card.  Those still in use go when they are put.
 * What was set by hand goes with the number, too.
 * From a work item, since a number is retired under locks of the driver's, which
 * an eviction should not be under.
 */
static void diskseqfs_prune(struct work_struct *work)
{
	struct diskseqfs_inode *di;
	struct super_block *sb;
	struct inode *inode;

	spin_lock(&diskseqfs_lock);
	while (!hlist_empty(&diskseqfs_retired)) {
		di = hlist_entry(diskseqfs_retired.first,
				 struct diskseqfs_inode, node);
		hlist_del_init(&di->node);

		/* An unmount or an eviction that is under way forgets it too */
		sb = di->vfs_inode.i_sb;
		if (!atomic_inc_not_zero(&sb->s_active))
			continue;
		inode = igrab(&di->vfs_inode);
		spin_unlock(&diskseqfs_lock);

		if (inode) {
			d_mark_dontcache(inode);
			d_prune_aliases(inode);
			diskseqfs_forget(inode);
			iput(inode);
		}
		deactivate_super(sb);
		cond_resched();
		spin_lock(&diskseqfs_lock);
	}
	spin_unlock(&diskseqfs_lock);
}

static DECLARE_WORK(diskseqfs_prune_work, diskseqfs_prune);

/**
 * diskseqfs_retire - note that a number is gone
 * @disk: the disk that had it, and may have the next one
 * @diskseq: the number, which diskseq_find() no longer finds, or 0 if it finds
 *	     none of @disk, which is about to be freed
 *
 * Context: Any context but interrupts.
 */
void diskseqfs_retire(struct gendisk *disk, u64 diskseq)
{
	struct diskseqfs_id *id = NULL;
	struct diskseqfs_inode *di;
	struct hlist_node *next;
	bool any = false;

	spin_lock(&diskseqfs_lock);
	if (disk->diskseqfs_id &&
	    (!diskseq || disk->diskseqfs_id->diskseq == diskseq))
		swap(disk->diskseqfs_id, id);
	hlist_for_each_entry_safe(di, next, &disk->diskseqfs_inodes, node) {
		if (diskseq && di->diskseq != diskseq)
			continue;
		hlist_del(&di->node);
		hlist_add_head(&di->node, &diskseqfs_retired);
		WRITE_ONCE(di->retired, true);
		any = true;
	}
	spin_unlock(&diskseqfs_lock);
	diskseqfs_put_id(id);

	if (any)
		schedule_work(&diskseqfs_prune_work);
}

/* Under the lock that retiring takes: each inode is either seen there or not made */
static int diskseqfs_enlist(struct diskseqfs_inode *di)
{
	struct gendisk *disk;

	spin_lock(&diskseqfs_lock);
	rcu_read_lock();
	disk = diskseq_find(di->diskseq);
	if (disk)
		hlist_add_head(&di->node, &disk->diskseqfs_inodes);
	rcu_read_unlock();
	spin_unlock(&diskseqfs_lock);
	return disk ? 0 : -ENOENT;
}

static int diskseqfs_d_revalidate(struct dentry *dentry, unsigned int flags)
{
	const struct inode *inode = d_inode_rcu(dentry);

	if (!inode)
		return -ECHILD;
	/*
	 * ->open() finds out as well, and -ESTALE from it has the path walked
	 * again, with LOOKUP_REVAL: no need to look the number up twice.  But
	 * first there are permissions, which may be those of a partition that
	 * was there before.
	 */
	if ((flags & (LOOKUP_OPEN | LOOKUP_REVAL)) == LOOKUP_OPEN &&
	    !diskseqfs_is_kept(inode))
		return 1;
	return diskseqfs_inode_valid(inode);
}

static const struct dentry_operations diskseqfs_dentry_operations = {
	.d_revalidate	= diskseqfs_d_revalidate,
};

/*
 * A partition may have been replaced since permissions were asked for.  While it
 * is open it is not.  And it may be there again with the device number that it
 * had first, when another inode has the owner that was given to it since.
 */
static int diskseqfs_opened(struct inode *inode, struct file *filp)
{
	const struct diskseqfs_inode *di = DISKSEQFS_I(inode);
	struct block_device *bdev = file_bdev(filp);

	if (!bdev_is_partition(bdev))
		return 0;
	if (READ_ONCE(di->retired) || get_start_sect(bdev) != di->start)
		return -ESTALE;
	/* The device cgroup was, by the device number that it had. */
	return bdev_permission(bdev->bd_dev, file_to_blk_mode(filp),
			       filp->private_data);
}

static int diskseqfs_open(struct inode *inode, struct file *filp)
{
	const struct diskseqfs_inode *di = DISKSEQFS_I(inode);
	int err;

	err = blkdev_open_diskseq(inode, filp, di->diskseq, di->partno);
	if (err)
		return err;

	err = diskseqfs_opened(inode, filp);
	if (!err)
		err = diskseqfs_notify_opened(inode, filp);
	if (err) {
		def_blk_fops.release(inode, filp);
		return err;
	}

	/* From here on it is a block device like any other. */
	replace_fops(filp, &def_blk_fops);
	return 0;
}

static const struct file_operations diskseqfs_file_operations = {
	.open	= diskseqfs_open,
	.llseek	= noop_llseek,
};

/*
 * Position in the directory of an entry.  A number that does not fit would take
 * a disk every nanosecond for more than a year; such a disk can be opened but is
 * not listed.
 */
#define DISKSEQFS_POS_SHIFT	8
#define DISKSEQFS_POS_MAX	(LLONG_MAX >> DISKSEQFS_POS_SHIFT)

static u64 diskseqfs_pos(u64 diskseq, u8 partno)
{
	return diskseq << DISKSEQFS_POS_SHIFT | partno;
}

static int diskseqfs_permission(struct mnt_idmap *idmap, struct inode *inode,
				int mask)
{
	unsigned int seq;
	int err;

	do {
		seq = read_seqbegin(&diskseqfs_opts_lock);
		err = generic_permission(idmap, inode, mask);
	} while (read_seqretry(&diskseqfs_opts_lock, seq));
	return err;
}

static int diskseqfs_getattr(struct mnt_idmap *idmap, const struct path *path,
			     struct kstat *stat, u32 request_mask,
			     unsigned int query_flags)
{
	unsigned int seq;

	do {
		seq = read_seqbegin(&diskseqfs_opts_lock);
		generic_fillattr(idmap, request_mask, d_inode(path->dentry),
				 stat);
	} while (read_seqretry(&diskseqfs_opts_lock, seq));
	return 0;
}

static int diskseqfs_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
			     struct iattr *attr)
{
	unsigned int own = attr->ia_valid & (ATTR_MODE | ATTR_UID | ATTR_GID);
	struct inode *inode = d_inode(dentry);
	int err;

	err = setattr_prepare(idmap, dentry, attr);
	if (!err && own)
		err = diskseqfs_keep(inode);
	/* This takes memory: if there is none, nothing has been changed. */
	if (!err && attr->ia_valid & ATTR_MODE)
		err = posix_acl_chmod(idmap, dentry, attr->ia_mode);
	if (err)
		return err;

	write_seqlock(&diskseqfs_opts_lock);
	setattr_copy(idmap, inode, attr);
	DISKSEQFS_I(inode)->own |= own;
	write_sequnlock(&diskseqfs_opts_lock);
	return 0;
}

/* An ACL has part of the mode in it, and so comes in the place of the option. */
static int diskseqfs_set_acl(struct mnt_idmap *idmap, struct dentry *dentry,
			     struct posix_acl *acl, int type)
{
	struct inode *inode = d_inode(dentry);
	umode_t mode;
	int err;

	err = posix_acl_update_mode(idmap, inode, &mode, &acl);
	if (!err)
		err = diskseqfs_keep(inode);
	if (err)
		return err;

	write_seqlock(&diskseqfs_opts_lock);
	inode->i_mode = mode;
	inode_set_ctime_current(inode);
	set_cached_acl(inode, type, acl);
	DISKSEQFS_I(inode)->own |= ATTR_MODE;
	write_sequnlock(&diskseqfs_opts_lock);
	return 0;
}

static int diskseqfs_xattr_get(const struct xattr_handler *handler,
			       struct dentry *dentry, struct inode *inode,
			       const char *name, void *buffer, size_t size)
{
	return simple_xattr_get(&DISKSEQFS_I(inode)->xattrs,
				xattr_full_name(handler, name), buffer, size);
}

static int diskseqfs_xattr_set(const struct xattr_handler *handler,
			       struct mnt_idmap *idmap, struct dentry *dentry,
			       struct inode *inode, const char *name,
			       const void *value, size_t size, int flags)
{
	struct simple_xattr *old;
	int err;

	/* The root is there for as long as the file system. */
	err = S_ISBLK(inode->i_mode) ? diskseqfs_keep(inode) : 0;
	if (err)
		return err;

	old = simple_xattr_set(&DISKSEQFS_I(inode)->xattrs,
			       xattr_full_name(handler, name), value, size,
			       flags);
	if (IS_ERR(old))
		return PTR_ERR(old);
	simple_xattr_free(old);
	inode_set_ctime_current(inode);
	return 0;
}

static ssize_t diskseqfs_listxattr(struct dentry *dentry, char *buffer,
				   size_t size)
{
	struct inode *inode = d_inode(dentry);

	return simple_xattr_list(inode, &DISKSEQFS_I(inode)->xattrs, buffer,
				 size);
}

static const struct xattr_handler diskseqfs_security_xattr_handler = {
	.prefix	= XATTR_SECURITY_PREFIX,
	.get	= diskseqfs_xattr_get,
	.set	= diskseqfs_xattr_set,
};

static const struct xattr_handler diskseqfs_trusted_xattr_handler = {
	.prefix	= XATTR_TRUSTED_PREFIX,
	.get	= diskseqfs_xattr_get,
	.set	= diskseqfs_xattr_set,
};

static const struct xattr_handler * const diskseqfs_xattr_handlers[] = {
	&diskseqfs_security_xattr_handler,
	&diskseqfs_trusted_xattr_handler,
	NULL
};

static const struct inode_operations diskseqfs_file_inode_operations = {
	.permission	= diskseqfs_permission,
	.getattr	= diskseqfs_getattr,
	.setattr	= diskseqfs_setattr,
	.set_acl	= diskseqfs_set_acl,
	.listxattr	= diskseqfs_listxattr,
};

/**
 * diskseqfs_get_number - find out whether a special file names a disk by number
 * @inode: inode of a block special file
 * @diskseq: set to the number of the disk, or to 0 if @inode is not of a
 *	     diskseqfs
 * @partno: set to the partition, or to 0
 *
 * Context: Any context.
 */
void diskseqfs_get_number(const struct inode *inode, u64 *diskseq, u8 *partno)
{
	const struct diskseqfs_inode *di = DISKSEQFS_I(inode);
	bool ours = inode->i_op == &diskseqfs_file_inode_operations;

	*diskseq = ours ? di->diskseq : 0;
	*partno = ours ? di->partno : 0;
}

/* What has been set by hand is not the options' any more. */
static void diskseqfs_set_owner(struct inode *inode)
{
	const struct diskseqfs_opts *opts = inode->i_sb->s_fs_info;
	unsigned int own = DISKSEQFS_I(inode)->own;

	lockdep_assert_held(&diskseqfs_opts_lock.lock);

	if (!(own & ATTR_UID))
		inode->i_uid = opts->uid;
	if (!(own & ATTR_GID))
		inode->i_gid = opts->gid;
	if (!(own & ATTR_MODE))
		inode->i_mode = S_IFBLK | opts->mode;
}

static struct diskseqfs_opts diskseqfs_get_opts(const struct super_block *sb)
{
	struct diskseqfs_opts opts;
	unsigned int seq;

	do {
		seq = read_seqbegin(&diskseqfs_opts_lock);
		opts = *(struct diskseqfs_opts *)sb->s_fs_info;
	} while (read_seqretry(&diskseqfs_opts_lock, seq));
	return opts;
}

/* For iget5_locked(): a name, with a reference to its id, which a new inode takes */
struct diskseqfs_key {
	struct diskseqfs_id	*id;
	u8			partno;
};

static int diskseqfs_test_inode(struct inode *inode, void *data)
{
	const struct diskseqfs_inode *di = DISKSEQFS_I(inode);
	const struct diskseqfs_key *key = data;

	return di->id == key->id && di->partno == key->partno;
}

static int diskseqfs_set_inode(struct inode *inode, void *data)
{
	struct diskseqfs_inode *di = DISKSEQFS_I(inode);
	struct diskseqfs_key *key = data;

	inode->i_ino = diskseqfs_ino(key->id, key->partno);
	di->partno = key->partno;
	swap(di->id, key->id);
	return 0;
}

static int diskseqfs_init_inode(struct inode *inode, u64 diskseq, dev_t dev,
				sector_t start)
{
	struct diskseqfs_inode *di = DISKSEQFS_I(inode);

	di->diskseq = diskseq;
	di->start = start;
	simple_inode_init_ts(inode);
	/* There is none but what is set: one that is not known would be listed. */
	cache_no_acl(inode);
	inode->i_op = &diskseqfs_file_inode_operations;
	inode->i_fop = &diskseqfs_file_operations;
	inode->i_rdev = dev;
	/* Either sees the options of a remount or is seen by it. */
	read_seqlock_excl(&diskseqfs_opts_lock);
	diskseqfs_set_owner(inode);
	read_sequnlock_excl(&diskseqfs_opts_lock);

	return diskseqfs_enlist(di);
}

/*
 * Is an inode still that of its name?  A partition that is added again when the
 * table is read again begins at the same sector, but often has another device
 * number.  If something is set by hand, the inode gets that, and stays.
 *
 * What was looked up to find the inode may be older than what was set by hand.
 */
static bool diskseqfs_take_over(struct inode *inode)
{
	struct diskseqfs_inode *di = DISKSEQFS_I(inode);
	sector_t start;
	dev_t dev;

	dev = diskseq_devt(di->diskseq, di->partno, &start);
	if (!dev || di->start != start || READ_ONCE(di->retired))
		return false;
	if (inode->i_rdev == dev)
		return true;

	/* Who is about to set something sees that it is late, or is seen. */
	spin_lock(&diskseqfs_lock);
	if (diskseqfs_is_kept(inode))
		WRITE_ONCE(inode->i_rdev, dev);
	else
		WRITE_ONCE(di->retired, true);
	spin_unlock(&diskseqfs_lock);
	return inode->i_rdev == dev;
}

static struct inode *diskseqfs_get_inode(struct super_block *sb, u64 diskseq,
					 u8 partno)
{
	struct diskseqfs_key key = { .partno = partno };
	struct inode *inode;
	sector_t start;
	dev_t dev;
	int err;

	dev = diskseq_devt(diskseq, partno, &start);
	if (!dev)
		return ERR_PTR(-ENOENT);

	key.id = diskseqfs_get_id(diskseq);
	if (IS_ERR(key.id))
		return ERR_CAST(key.id);

	/* That of a partition which is not there any more gives way. */
	while ((inode = iget5_locked(sb, diskseqfs_ino(key.id, partno),
				     diskseqfs_test_inode, diskseqfs_set_inode,
				     &key)) &&
	       !(inode->i_state & I_NEW) &&
	       !diskseqfs_take_over(inode)) {
		remove_inode_hash(inode);
		diskseqfs_forget(inode);
		iput(inode);
	}
	diskseqfs_put_id(key.id);
	if (!inode)
		return ERR_PTR(-ENOMEM);

	if (inode->i_state & I_NEW) {
		err = diskseqfs_init_inode(inode, diskseq, dev, start);
		if (err) {
			iget_failed(inode);
			return ERR_PTR(err);
		}
		unlock_new_inode(inode);
	}
	return inode;
}

/*
 * No negative dentries: most names of disks have yet to come into being, and
 * those that are gone are gone for good.
 */
static struct dentry *diskseqfs_lookup(struct inode *dir, struct dentry *dentry,
				       unsigned int flags)
{
	const struct qstr *name = &dentry->d_name;
	struct inode *inode;
	u64 diskseq;
	u8 partno;

	if (name->len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	if (diskseq_parse_name(name->name, name->len, &diskseq, &partno))
		return ERR_PTR(-ENOENT);
	inode = diskseqfs_get_inode(dir->i_sb, diskseq, partno);
	if (IS_ERR(inode))
		return ERR_CAST(inode);

	d_add(dentry, inode);
	/* Retired before diskseqfs_prune() could see the dentry? */
	if (!diskseqfs_inode_valid(inode))
		d_mark_dontcache(inode);
	return NULL;
}

/* Who sees which disks there are is decided where the directory is mounted. */
static int diskseqfs_dir_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
				 struct iattr *attr)
{
	if (attr->ia_valid & (ATTR_MODE | ATTR_UID | ATTR_GID))
		return -EPERM;
	return simple_setattr(idmap, dentry, attr);
}

static const struct inode_operations diskseqfs_dir_inode_operations = {
	.lookup		= diskseqfs_lookup,
	.setattr	= diskseqfs_dir_setattr,
	.listxattr	= diskseqfs_listxattr,
};

/*
 * Entries that are collected at once: enough for the locks to be taken seldom, few
 * enough for them to be held shortly.
 */
#define DISKSEQFS_BATCH		32

struct diskseqfs_batch {
	unsigned int	count;
	struct {
		u64	diskseq;
		/* Or 0, if the disk has no id yet */
		u32	ino;
		u8	partno;
	} entries[DISKSEQFS_BATCH];
};

static bool diskseqfs_collect(struct gendisk *disk, u8 partno, void *data)
{
	struct diskseqfs_batch *batch = data;
	const struct diskseqfs_id *id = disk->diskseqfs_id;
	unsigned int i = batch->count++;

	lockdep_assert_held(&diskseqfs_lock);

	batch->entries[i].diskseq = disk->diskseq;
	batch->entries[i].partno = partno;
	/* Or has it that of a number that is about to be retired? */
	batch->entries[i].ino = id && id->diskseq == disk->diskseq ?
				diskseqfs_ino(id, partno) : 0;
	return batch->count < DISKSEQFS_BATCH;
}

/* The inode number of an entry whose disk may get an id only now. */
static int diskseqfs_new_ino(u64 diskseq, u8 partno, u32 *ino)
{
	struct diskseqfs_id *id = diskseqfs_get_id(diskseq);

	if (IS_ERR(id))
		return PTR_ERR(id);
	*ino = diskseqfs_ino(id, partno);
	diskseqfs_put_id(id);
	return 0;
}

static int diskseqfs_readdir(struct file *file, struct dir_context *ctx)
{
	struct diskseqfs_batch batch;
	char name[DISKSEQ_NAME_SIZE];
	int i, len, err;

	if (!dir_emit_dots(file, ctx))
		return 0;

	do {
		batch.count = 0;
		spin_lock(&diskseqfs_lock);
		diskseq_walk((u64)ctx->pos >> DISKSEQFS_POS_SHIFT, ctx->pos,
			     diskseqfs_collect, &batch);
		spin_unlock(&diskseqfs_lock);

		for (i = 0; i < batch.count; i++, ctx->pos++) {
			u64 diskseq = batch.entries[i].diskseq;
			u8 partno = batch.entries[i].partno;
			u32 ino = batch.entries[i].ino;

			if (diskseq >= DISKSEQFS_POS_MAX)
				return 0;
			ctx->pos = diskseqfs_pos(diskseq, partno);
			if (!ino) {
				err = diskseqfs_new_ino(diskseq, partno, &ino);
				if (err == -ENOENT)
					continue;	/* has just gone */
				if (err)
					return err;
			}
			len = diskseq_format_name(name, diskseq, partno);
			if (!dir_emit(ctx, name, len, ino, DT_BLK))
				return 0;
		}
	} while (batch.count == DISKSEQFS_BATCH);
	return 0;
}

static const struct file_operations diskseqfs_dir_operations = {
	.read		= generic_read_dir,
	.iterate_shared	= diskseqfs_readdir,
	.llseek		= generic_file_llseek,
};

struct diskseqfs_fid {
	/* Zero, as all else, in a handle of the directory */
	u64			diskseq;
	/* Of a partition, as in its inode, so that the next one is not taken for it */
	u64			start;
	u32			partno;
} __packed;

#define DISKSEQFS_FID_WORDS	(sizeof(struct diskseqfs_fid) / sizeof(u32))

static int diskseqfs_encode_fh(struct inode *inode, u32 *fh, int *max_len,
			       struct inode *parent)
{
	struct diskseqfs_fid *fid = (struct diskseqfs_fid *)fh;
	bool fits = *max_len >= DISKSEQFS_FID_WORDS;
	u64 diskseq;
	u8 partno;

	*max_len = DISKSEQFS_FID_WORDS;
	if (!fits)
		return FILEID_INVALID;

	diskseqfs_get_number(inode, &diskseq, &partno);
	fid->diskseq = diskseq;
	fid->partno = partno;
	fid->start = diskseq ? DISKSEQFS_I(inode)->start : 0;
	return FILEID_DISKSEQFS;
}

/* By the name, so that what is found is what a path would lead to. */
static struct dentry *diskseqfs_fh_to_dentry(struct super_block *sb,
					     struct fid *fh, int fh_len,
					     int fh_type)
{
	const struct diskseqfs_fid *fid = (struct diskseqfs_fid *)fh->raw;
	char name[DISKSEQ_NAME_SIZE];
	struct dentry *dentry;
	int len;

	if (fh_type != FILEID_DISKSEQFS || fh_len < DISKSEQFS_FID_WORDS ||
	    fid->partno > U8_MAX)
		return NULL;
	if (!fid->diskseq)
		return dget(sb->s_root);

	len = diskseq_format_name(name, fid->diskseq, fid->partno);
	dentry = lookup_positive_unlocked(name, sb->s_root, len);
	if (!IS_ERR(dentry) && DISKSEQFS_I(d_inode(dentry))->start != fid->start) {
		dput(dentry);
		return NULL;
	}
	return dentry;
}

static const struct export_operations diskseqfs_export_operations = {
	.encode_fh	= diskseqfs_encode_fh,
	.fh_to_dentry	= diskseqfs_fh_to_dentry,
};

static struct inode *diskseqfs_alloc_inode(struct super_block *sb)
{
	struct diskseqfs_inode *di;

	di = alloc_inode_sb(sb, diskseqfs_inode_cachep, GFP_KERNEL);
	if (!di)
		return NULL;
	INIT_HLIST_NODE(&di->node);
	INIT_HLIST_NODE(&di->kept);
	simple_xattrs_init(&di->xattrs);
	di->retired = false;
	di->own = 0;
	di->id = NULL;
	return &di->vfs_inode;
}

static void diskseqfs_free_inode(struct inode *inode)
{
	kmem_cache_free(diskseqfs_inode_cachep, DISKSEQFS_I(inode));
}

static void diskseqfs_evict_inode(struct inode *inode)
{
	struct diskseqfs_inode *di = DISKSEQFS_I(inode);

	clear_inode(inode);

	spin_lock(&diskseqfs_lock);
	hlist_del_init(&di->node);
	spin_unlock(&diskseqfs_lock);
	diskseqfs_put_id(di->id);
	simple_xattrs_free(&di->xattrs, NULL);
}

static int diskseqfs_show_options(struct seq_file *m, struct dentry *root)
{
	struct diskseqfs_opts opts = diskseqfs_get_opts(root->d_sb);

	if (!uid_eq(opts.uid, GLOBAL_ROOT_UID))
		seq_printf(m, ",uid=%u",
			   from_kuid_munged(&init_user_ns, opts.uid));
	if (!gid_eq(opts.gid, GLOBAL_ROOT_GID))
		seq_printf(m, ",gid=%u",
			   from_kgid_munged(&init_user_ns, opts.gid));
	seq_printf(m, ",mode=%04o", opts.mode);
	return 0;
}

static const struct super_operations diskseqfs_super_operations = {
	.alloc_inode	= diskseqfs_alloc_inode,
	.free_inode	= diskseqfs_free_inode,
	.evict_inode	= diskseqfs_evict_inode,
	.drop_inode	= generic_delete_inode,
	.statfs		= simple_statfs,
	.show_options	= diskseqfs_show_options,
};

static int diskseqfs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct inode *inode;

	sb->s_magic = DISKSEQFS_MAGIC;
	sb->s_op = &diskseqfs_super_operations;
	sb->s_export_op = &diskseqfs_export_operations;
	sb->s_xattr = diskseqfs_xattr_handlers;
	sb->s_flags |= SB_POSIXACL;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_maxbytes = LLONG_MAX;	/* bounds positions in the root */
	sb->s_time_gran = 1;
	/*
	 * Not SB_I_NODEV: that is for mounts from user namespaces, which the
	 * missing FS_USERNS_MOUNT refuses.  An entry opens a disk with no check
	 * but of its mode, as a node that root makes does.
	 */
	sb->s_iflags |= SB_I_NOEXEC;
	/* A file system on top would open by device number. */
	sb->s_stack_depth = FILESYSTEM_MAX_STACK_DEPTH;

	inode = new_inode(sb);
	if (!inode)
		return -ENOMEM;
	inode->i_ino = DISKSEQFS_ROOT_INO;
	inode->i_mode = S_IFDIR | 0755;
	simple_inode_init_ts(inode);
	cache_no_acl(inode);
	inode->i_op = &diskseqfs_dir_inode_operations;
	inode->i_fop = &diskseqfs_dir_operations;
	set_nlink(inode, 2);

	sb->s_root = d_make_root(inode);
	/* Not of the root, which is always there. */
	sb->s_d_op = &diskseqfs_dentry_operations;
	return sb->s_root ? 0 : -ENOMEM;
}

enum diskseqfs_param { Opt_uid, Opt_gid, Opt_mode };

static const struct fs_parameter_spec diskseqfs_fs_parameters[] = {
	fsparam_uid("uid",	Opt_uid),
	fsparam_gid("gid",	Opt_gid),
	fsparam_u32oct("mode",	Opt_mode),
	{}
};

static int diskseqfs_parse_param(struct fs_context *fc,
				 struct fs_parameter *param)
{
	struct diskseqfs_opts *opts = fc->s_fs_info;
	struct fs_parse_result result;
	int opt;

	opt = fs_parse(fc, diskseqfs_fs_parameters, param, &result);
	if (opt < 0)
		return opt;

	switch (opt) {
	case Opt_uid:
		opts->uid = result.uid;
		break;
	case Opt_gid:
		opts->gid = result.gid;
		break;
	case Opt_mode:
		if (result.uint_32 & ~0777)
			return invalfc(fc, "mode=%o is more than permissions",
				       result.uint_32);
		opts->mode = result.uint_32;
		break;
	}
	return 0;
}

static int diskseqfs_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, diskseqfs_fill_super);
}

static int diskseqfs_reconfigure(struct fs_context *fc)
{
	struct super_block *sb = fc->root->d_sb;
	struct diskseqfs_opts *opts = sb->s_fs_info;
	struct inode *inode;

	write_seqlock(&diskseqfs_opts_lock);
	*opts = *(struct diskseqfs_opts *)fc->s_fs_info;
	spin_lock(&sb->s_inode_list_lock);
	list_for_each_entry(inode, &sb->s_inodes, i_sb_list) {
		if (inode->i_op == &diskseqfs_file_inode_operations)
			diskseqfs_set_owner(inode);
	}
	spin_unlock(&sb->s_inode_list_lock);
	write_sequnlock(&diskseqfs_opts_lock);
	return 0;
}

static void diskseqfs_free_fc(struct fs_context *fc)
{
	kfree(fc->s_fs_info);
}

static const struct fs_context_operations diskseqfs_context_operations = {
	.parse_param	= diskseqfs_parse_param,
	.get_tree	= diskseqfs_get_tree,
	.reconfigure	= diskseqfs_reconfigure,
	.free		= diskseqfs_free_fc,
};

static int diskseqfs_init_fs_context(struct fs_context *fc)
{
	struct diskseqfs_opts *opts;

	opts = kzalloc(sizeof(*opts), GFP_KERNEL);
	if (!opts)
		return -ENOMEM;

	/* A remount keeps what it does not name. */
	if (fc->purpose == FS_CONTEXT_FOR_RECONFIGURE) {
		*opts = diskseqfs_get_opts(fc->root->d_sb);
	} else {
		opts->uid = GLOBAL_ROOT_UID;
		opts->gid = GLOBAL_ROOT_GID;
		opts->mode = DISKSEQFS_DEFAULT_MODE;
	}
	fc->s_fs_info = opts;
	fc->ops = &diskseqfs_context_operations;
	return 0;
}

/* Nobody keeps an inode any more: this is the end of the file system. */
static void diskseqfs_forget_all(struct super_block *sb)
{
	struct diskseqfs_inode *di;
	struct hlist_node *next;
	HLIST_HEAD(list);

	spin_lock(&diskseqfs_lock);
	hlist_for_each_entry_safe(di, next, &diskseqfs_kept, kept) {
		if (di->vfs_inode.i_sb == sb) {
			hlist_del(&di->kept);
			hlist_add_head(&di->kept, &list);
		}
	}
	spin_unlock(&diskseqfs_lock);

	hlist_for_each_entry_safe(di, next, &list, kept) {
		hlist_del_init(&di->kept);
		iput(&di->vfs_inode);
	}
}

static void diskseqfs_kill_sb(struct super_block *sb)
{
	struct diskseqfs_opts *opts = sb->s_fs_info;

	diskseqfs_forget_all(sb);
	kill_anon_super(sb);
	kfree(opts);
}

static struct file_system_type diskseqfs_type = {
	.name			= "diskseqfs",
	.init_fs_context	= diskseqfs_init_fs_context,
	.parameters		= diskseqfs_fs_parameters,
	.kill_sb		= diskseqfs_kill_sb,
};

static void diskseqfs_init_once(void *inode)
{
	struct diskseqfs_inode *di = inode;

	inode_init_once(&di->vfs_inode);
}

static int __init diskseqfs_init(void)
{
	diskseqfs_inode_cachep = kmem_cache_create("diskseqfs_inode",
						   sizeof(struct diskseqfs_inode), 0,
						   SLAB_RECLAIM_ACCOUNT |
						   SLAB_ACCOUNT | SLAB_PANIC,
						   diskseqfs_init_once);
	return register_filesystem(&diskseqfs_type);
}
fs_initcall(diskseqfs_init);
