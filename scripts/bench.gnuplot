# Cost of an open against the number of disks; csv and svg are set by scripts/bench.
set terminal svg size 800,500 background "white"
set output svg
set datafile separator ","
set logscale xy
set xlabel "disks"
set ylabel "instructions to open and close one"
set yrange [1000:*]
set key left top
of(what) = sprintf("< grep '^%s,[0-9]*0,' '%s' || echo 10,10,NaN", what, csv)
plot of("sysfs scan") using 2:3 with linespoints title "scan of sysfs", \
     of("link . check") using 2:3 with linespoints title "symbolic link and check", \
     of("number first time") using 2:3 with linespoints title "by number, first time", \
     of("number") using 2:3 with linespoints title "by number", \
     of("node") using 2:3 with linespoints title "device node"
