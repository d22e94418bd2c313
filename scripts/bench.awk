# The table of scripts/bench, from its CSV.

NR > 1 {
	value[$1, $2] = $3
	unit[$1, $2] = $4
	names[++count] = $1
	disks[count] = $2
}

# figure of WHAT at COUNT disks
function of(what, count)
{
	if (!((what, count) in value)) {
		missing = 1
		return 1
	}
	return value[what, count]
}

function target(what, figure, limit)
{
	printf "%-44s %8s <= %-6s %s\n", what, \
		missing ? "" : sprintf("%.3f", figure), limit, \
		missing ? "not measured" : figure <= limit ? "met" : "MISSED"
	missing = 0
}

END {
	printf "%-36s %8s\n", "", "disks"
	for (i = 1; i <= count; i++)
		printf "%-36s %8s %12s %s\n", names[i], disks[i] ? disks[i] : "", \
			value[names[i], disks[i]], unit[names[i], disks[i]]
	print "\nTargets"
	target("number / node", of("number", 10) / of("node", 10), 1.05)
	target("number, first time / node", of("number first time", 10) / of("node", 10), 1.6)
	target("number / (link + check)", of("number", 10) / of("link + check", 10), 0.75)
	target("number / sd_device_open()", of("number", 10) / of("sd_device_open", 10), 0.03)
	target("number, 10,000 disks / 10 disks", of("number", 10000) / of("number", 10), 1.05)
	target("4 openers / 1, different disks", of("4 on different disks", 0) / of("1 on different disks", 0), 1.05)
	target("4 openers / 1, the same disk", of("4 on the same disk", 0) / of("1 on the same disk", 0), 1.05)
	target("kernel: by number / by dev_t", of("kernel by number", 10) / of("kernel by dev_t", 10), 1.02)
	target("add + remove / on the stock kernel", of("add + remove", 0) / of("stock: add + remove", 0), 1.01)
	target("bytes more per disk", of("disk size", 0) - of("stock: disk size", 0), 64)
	target("xl attaches a device, ours / Xen's, 1 guest", of("attach device by block-diskseq", 1) / of("attach device by block", 1), 0.2)
	target("xl attaches a file, ours / Xen's, 1 guest", of("attach file by block-diskseq", 1) / of("attach file by block", 1), 0.2)
	target("xl attaches a device, ours / Xen's, 1,000", of("attach device by block-diskseq", 1000) / of("attach device by block", 1000), 0.02)
	target("xl attaches a device, ours, 1,000 / 1", of("attach device by block-diskseq", 1000) / of("attach device by block-diskseq", 1), 1.3)
	target("xl attaches a file, ours, 1,000 / 1", of("attach file by block-diskseq", 1000) / of("attach file by block-diskseq", 1), 1.3)
	target("the same, xl and the program alone", of("attach file by block-diskseq: xl and script", 1000) / of("attach file by block-diskseq: xl and script", 1), 1.3)
	target("xl attaches a device, default / by name", of("attach device by block-patched", 1) / of("attach device by block-diskseq", 1), 1.2)
	target("xl attaches a device, processes", of("attach device by block-diskseq: processes", 1), 4)
	target("the same by default", of("attach device by block-patched: processes", 1), 4)
	target("xl detaches a device, ours / Xen's, 1 guest", of("detach device by block-diskseq", 1) / of("detach device by block", 1), 0.35)
	target("xl detaches a file, ours / Xen's, 1 guest", of("detach file by block-diskseq", 1) / of("detach file by block", 1), 0.35)
	target("xl detaches a device, ours, 1,000 / 1", of("detach device by block-diskseq", 1000) / of("detach device by block-diskseq", 1), 1.3)
	target("inodes kept per gone number", of("inodes kept of gone numbers", 500) / 500, 0.01)
}
