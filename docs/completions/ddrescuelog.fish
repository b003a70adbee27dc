complete -c ddrescuelog -s a -l change-types -d 'give blocks of the old types the new ones' -r
complete -c ddrescuelog -s b -l block-size -d 'bytes in a sector [512]' -r
complete -c ddrescuelog -s c -l create-mapfile -d 'make a map from the sectors named on standard input; the first type is for those, the second for the others [+-]' -r
complete -c ddrescuelog -s C -l complete-mapfile -d 'order the blocks and fill the gaps with this type [?]' -r
complete -c ddrescuelog -s F -l format -d 'what -c reads and -l writes: list, bitmap-le, bitmap-be [list]' -r
complete -c ddrescuelog -s i -l input-position -d 'where the domain begins [0]' -r
complete -c ddrescuelog -s l -l list-blocks -d 'list the sectors that have one of these types (?*/-+)' -r
complete -c ddrescuelog -s m -l domain-mapfile -d 'take the finished blocks of this map as domain' -r
complete -c ddrescuelog -s o -l output-position -d 'where the domain begins in the result [as -i]' -r
complete -c ddrescuelog -s p -l compare-mapfile -d 'exit with 0 if both maps say the same about the domain' -r
complete -c ddrescuelog -s P -l compare-as-domain -d 'the same, looking at finished blocks only' -r
complete -c ddrescuelog -s s -l size -d 'how long the domain is at most' -r
complete -c ddrescuelog -s x -l xor-mapfile -d 'finish what is finished in exactly one of the maps' -r
complete -c ddrescuelog -s y -l and-mapfile -d 'leave finished only what is finished in both maps' -r
complete -c ddrescuelog -s z -l or-mapfile -d 'finish what is finished in either map' -r
complete -c ddrescuelog -s h -l help -d 'show this text'
complete -c ddrescuelog -s V -l version -d 'show the version'
complete -c ddrescuelog -s A -l annotate-mapfile -d 'write the map with readable positions and sizes'
complete -c ddrescuelog -s B -l binary-prefixes -d 'show numbers in steps of 1024, not 1000'
complete -c ddrescuelog -s d -l delete-if-done -d 'remove the mapfile if everything is rescued'
complete -c ddrescuelog -s D -l done-status -d 'exit with 0 if everything is rescued, else with 1'
complete -c ddrescuelog -s f -l force -d 'let -c replace an existing mapfile'
complete -c ddrescuelog -s L -l loose-domain -d 'let the blocks of a domain map be unordered and have gaps'
complete -c ddrescuelog -s n -l invert-mapfile -d 'make finished blocks bad, and all others finished'
complete -c ddrescuelog -s q -l quiet -d 'print no messages'
complete -c ddrescuelog -s t -l show-status -d 'tell how much of each map has which type'
complete -c ddrescuelog -s v -l verbose -d 'print more messages'
complete -c ddrescuelog -l shift -d 'move all blocks by the difference of -o and -i'
