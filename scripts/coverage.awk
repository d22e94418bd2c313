# The report of scripts/coverage.  The first file names the lines that count, "PATH LINE";
# the others are what gcov -t -b -c says of an object in a run.  A line or branch of
# several objects, as in a header, or of several runs, was seen if it was in one of them.

FILENAME == ARGV[1] {
	added[$1, $2]
	if (!($1 in known)) {
		known[$1]
		paths[++files] = $1
	}
	next
}
/^ *-: *0:Source:/ {
	end_of_line()
	path = $0
	sub(/.*:Source:/, "", path)
	sub(/.*\/tree\//, "", path)
	next
}
match($0, /^ *[^:]+: *[0-9]+:/) {
	end_of_line()
	count = $0
	sub(/:.*/, "", count)
	line = substr($0, length(count) + 2) + 0
	here = (path, line) in added && count !~ /-$/
	if (!here)
		next
	text = substr($0, RSTART + RLENGTH)
	gsub(/[ \t]+/, " ", text)
	source[path, line] = text
	compiled[path]
	if (count !~ /[#=]/)
		executed[path, line] = 1
	if (line > last[path])
		last[path] = line
	next
}
/^branch/ && here { taken[++branches] = / taken [1-9]/ }

# Add the branches of a line to what is known of it from elsewhere.  Where the compiler has
# made another number of them, those count of which more were taken.
function end_of_line(	i, n, new, old)
{
	n = of[path, line]
	if (here && branches && n != branches) {
		for (i = 1; i <= branches; i++)
			new += taken[i] / branches
		for (i = 1; i <= n; i++)
			old += (seen[path, line, i] > 0) / n
		if (!n || new > old) {
			for (i = 1; i <= n; i++)
				delete seen[path, line, i]
			n = of[path, line] = branches
		}
	}
	if (here && n == branches)
		for (i = 1; i <= n; i++)
			seen[path, line, i] += taken[i]
	branches = here = 0
}

# A row of the table, and whether it is less than what is asked for.
function row(name, lines, done, all, took)
{
	printf "%-40s %6d %6d %5.1f %9d %6d %5.1f\n", name, lines, done,
		lines ? 100 * done / lines : 100, all, took, all ? 100 * took / all : 100
}

function rule()
{
	print "======================================== ====== ====== ===== ========= ====== ====="
}

END {
	end_of_line()
	rule()
	print "File                                      Lines   Seen     %  Branches   Seen     %"
	rule()
	for (file = 1; file <= files; file++) {
		path = paths[file]
		if (!(path in compiled)) {
			if (path ~ /c$/)
				absent = absent "\n" path
			continue
		}
		lines = done = all = took = 0
		for (line = 1; line <= last[path]; line++) {
			if (!((path, line) in source))
				continue
			lines++
			done += executed[path, line]
			missed = ""
			for (i = 1; i <= of[path, line]; i++) {
				all++
				if (seen[path, line, i])
					took++
				else
					missed = missed " " i
			}
			where = sprintf("%s:%d:%s\n", path, line, source[path, line])
			if (!executed[path, line])
				unseen = unseen where
			else if (missed != "")
				untaken = untaken "branch" missed " of " of[path, line] ": " where
		}
		row(path, lines, done, all, took)
		ours = path ~ /diskseq/
		if (ours && (done < 0.95 * lines || took < 0.85 * all))
			failed = 1
		total["lines", ours] += lines
		total["done", ours] += done
		total["all", ours] += all
		total["took", ours] += took
	}
	row("files of ours", total["lines", 1], total["done", 1], total["all", 1], total["took", 1])
	row("added to others", total["lines", 0], total["done", 0], total["all", 0], total["took", 0])
	rule()
	if (total["done", 0] < 0.95 * total["lines", 0] || total["took", 0] < 0.85 * total["all", 0])
		failed = 1
	print "\nnot compiled:" absent
	print "\nnever executed:"
	printf "%s", unseen
	print "\nnever taken:"
	printf "%s", untaken
	exit failed
}
