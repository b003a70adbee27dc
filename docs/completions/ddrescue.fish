complete -c ddrescue -s a -l min-read-rate -d 'read rate per second below which good areas count as slow; 0: a tenth of the average' -r
complete -c ddrescue -s b -l sector-size -d 'size of a sector of the input device [512]' -r
complete -c ddrescue -s c -l cluster-size -d 'sectors to copy at a time [64 KiB worth]' -r
complete -c ddrescue -s e -l max-bad-areas -d 'stop at more bad areas than this; with + more new ones' -r
complete -c ddrescue -s E -l max-error-rate -d 'stop when more bytes than this fail in a second' -r
complete -c ddrescue -s F -l fill-mode -d 'write over blocks of these types (?*/-+); l marks each sector with its place' -r
complete -c ddrescue -s H -l test-mode -d 'let everything fail that this mapfile does not call finished' -r
complete -c ddrescue -s i -l input-position -d 'where to begin in infile [0]' -r
complete -c ddrescue -s K -l skip-size -d 'bytes to skip after the first error, and at most; 0: skip nothing' -r
complete -c ddrescue -s m -l domain-mapfile -d 'rescue only what this mapfile calls finished' -r
complete -c ddrescue -s o -l output-position -d 'where to begin in outfile [as -i]' -r
complete -c ddrescue -s P -l data-preview -d 'show lines of the data read last [3]' -r
complete -c ddrescue -s r -l retry-passes -d 'times to read all bad sectors again; -1: without end [0]' -r
complete -c ddrescue -s s -l size -d 'bytes of infile to rescue at most; -1: all' -r
complete -c ddrescue -s T -l timeout -d 'stop after so long without new data' -r
complete -c ddrescue -s x -l extend-outfile -d 'make outfile at least this long at the end' -r
complete -c ddrescue -s X -l max-read-errors -d 'stop at more failed reads than this' -r
complete -c ddrescue -s Z -l max-read-rate -d 'read no more than this in a second' -r
complete -c ddrescue -l continue-on-errno -d 'take these error numbers for damage instead of giving up' -r
complete -c ddrescue -l cpass -d 'copying passes to run, such as 1,3-5; 0: none' -r
complete -c ddrescue -l delay-slow -d 'time before anything counts as slow [30]' -r
complete -c ddrescue -l log-events -d 'append a record of what happens to this file' -r
complete -c ddrescue -l log-rates -d 'write rates and damage, second by second, to this file' -r
complete -c ddrescue -l log-reads -d 'write every read to this file' -r
complete -c ddrescue -l mapfile-interval -d 'how often to save and to sync the mapfile [auto,5m]' -r
complete -c ddrescue -l max-slow-reads -d 'stop at more slow reads than this' -r
complete -c ddrescue -l pause-on-error -d 'wait so long after each failed or slow read [0]' -r
complete -c ddrescue -l pause-on-pass -d 'wait so long between passes [0]' -r
complete -c ddrescue -s h -l help -d 'print this text and exit'
complete -c ddrescue -s V -l version -d 'print the version and exit'
complete -c ddrescue -s A -l try-again -d 'take non-trimmed and non-scraped blocks for non-tried'
complete -c ddrescue -s B -l binary-prefixes -d 'show numbers in units of 1024, not 1000'
complete -c ddrescue -s C -l complete-only -d 'stay within the limits of the mapfile'
complete -c ddrescue -s d -l idirect -d 'read past the page cache'
complete -c ddrescue -s D -l odirect -d 'write past the page cache'
complete -c ddrescue -s f -l force -d 'write to an outfile that is not a regular file'
complete -c ddrescue -s G -l generate-mode -d 'guess a mapfile from a partial copy'
complete -c ddrescue -s I -l check-input-size -d 'refuse an infile that is not as long as the mapfile says'
complete -c ddrescue -s J -l check-on-error -d 'after each error read the last good sector again and compare'
complete -c ddrescue -s L -l loose-domain -d 'let the files of -m and -H be out of order and have gaps'
complete -c ddrescue -s M -l retrim -d 'take all failed blocks for non-trimmed'
complete -c ddrescue -s n -l no-scrape -d 'leave the scraping phase out'
complete -c ddrescue -s N -l no-trim -d 'leave the trimming phase out'
complete -c ddrescue -s O -l reopen-on-error -d 'close and open infile after each failed or slow read'
complete -c ddrescue -s p -l preallocate -d 'reserve room for outfile before starting'
complete -c ddrescue -s q -l quiet -d 'print nothing'
complete -c ddrescue -s R -l reverse -d 'turn the direction of all passes round'
complete -c ddrescue -s S -l sparse -d 'do not write blocks of zeros'
complete -c ddrescue -s t -l truncate -d 'empty outfile first'
complete -c ddrescue -s u -l unidirectional -d 'run all passes in the same direction'
complete -c ddrescue -s v -l verbose -d 'say more; up to four times'
complete -c ddrescue -s w -l ignore-write-errors -d 'go on filling after write errors'
complete -c ddrescue -s W -l compare-before-write -d 'do not write what outfile holds already'
complete -c ddrescue -s y -l synchronous -d 'make each write durable before the next read'
complete -c ddrescue -l ask -d 'show what will be copied and ask before starting'
complete -c ddrescue -l command-mode -d 'do what standard input says'
complete -c ddrescue -l reset-slow -d 'forget slow reads as soon as the rate rises'
complete -c ddrescue -l same-file -d 'let infile and outfile be one file'
